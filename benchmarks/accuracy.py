"""Test accuracy, time and peak memory of `lstm-text train` beside TF-IDF and a linear SVM on the same rows.

    python benchmarks/accuracy.py FILE ... [-- flags for lstm-text train]

A file has columns text and label, and optionally split; without it the rows are split as the pipeline splits them.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from lstm_model.config.split import SplitConfig
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.splitting import honour_given_split, split_rows
from lstm_model.digests import digest_text
from lstm_model.evaluation.baseline import predict_with_baseline


def run_pipeline(path: Path, flags: list[str]) -> dict[str, float]:
    """Train in a process and a state folder of its own, so that nothing is cached."""
    with tempfile.TemporaryDirectory() as state:
        split = ["--data.split-column", "split"] if "split" in read_columns(path) else []
        command = [str(Path(sys.executable).parent / "lstm-text"), "train", "--data.path", str(path), *split, *flags]
        environment = {**os.environ, "LSTM_TEXT_STATE": state}
        started = time.monotonic()
        result = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        if result.returncode:
            raise SystemExit(result.stderr[-2_000:])
    answer = json.loads(result.stdout.strip().splitlines()[-1])
    fit = answer["seconds"]["train_model"]
    return {"lstm": answer["metrics"]["accuracy"], "rows": answer["metrics"]["rows"], "seconds": seconds, "fit": fit}


def run_baseline(path: Path) -> dict[str, float]:
    """Fit the linear baseline on train and validation rows, since the network sees both; judge it on the test rows."""
    rows = pd.concat(list(read_chunks(path, {name: name for name in ("text", "label", "split")})), ignore_index=True)
    digests = rows["text"].map(digest_text)
    if "split" in rows:
        split, _ = honour_given_split(
            text_digests=digests, labels=rows["label"], given=rows["split"], config=SplitConfig()
        )
    else:
        split = split_rows(text_digests=digests, labels=rows["label"], config=SplitConfig())
    known, test = rows[split.isin(["train", "validation"])], rows[split == "test"]
    started = time.monotonic()
    answers = predict_with_baseline(
        train_texts=known["text"].tolist(), train_labels=known["label"].tolist(), texts=test["text"].tolist()
    )
    accuracy = float((test["label"] == answers).mean())
    return {"svm": accuracy, "svm_seconds": time.monotonic() - started}


def main() -> None:
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    print("| data | test rows | lstm-text | whole command | of it training | peak memory | TF-IDF + SVM | its fit |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path in map(Path, arguments[:cut]):
        ours, baseline = run_pipeline(path, arguments[cut + 1 :]), run_baseline(path)
        # The largest child so far: exact for one file, an upper bound for the later ones of several.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(
            f"| {path.name} | {ours['rows']:,.0f} | {ours['lstm']:.4f} | {ours['seconds']:.0f} s | {ours['fit']:.0f} s "
            f"| {peak:.2f} GB | {baseline['svm']:.4f} | {baseline['svm_seconds']:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
