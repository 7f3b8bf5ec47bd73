"""What passes between the benchmark and a peer's process. Standard library only: peers have environments of their own.

A peer reads `train.jsonl`, `validation.jsonl` and `test.jsonl` of a folder (a text and a label on each line) and prints
one JSON object as its last line: seconds of `fit` and `predict`, `bytes` on disk, the predicted labels of `validation`
and `test` rows and, where it trains in epochs, `epoch_ends` in seconds.
"""

import json
from pathlib import Path
from typing import Any


def read_rows(folder: Path, *splits: str) -> tuple[list[str], list[str]]:
    """Return the texts and the labels of these splits, in order."""
    rows = [json.loads(line) for split in splits for line in (folder / f"{split}.jsonl").open(encoding="utf-8")]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def print_answer(**values: Any) -> None:
    print(f"\n{json.dumps(values)}")
