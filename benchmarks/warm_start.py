"""Retraining on grown data: from the champion's weights, beside afresh.

    python benchmarks/warm_start.py FILE ...

FILE has columns text and label, and may have split. A champion is trained on 70 % of the train rows; then the whole
file is trained on twice, from its weights and afresh. All three judge the same test rows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import split_rows
from lstm_model.digests import digest_text

SHARE = 0.7


def read_rows(path: Path) -> pd.DataFrame:
    """Return text, label and split: the file's, or one made as training would."""
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    if "split" not in rows:
        digests = rows["text"].map(digest_text)
        rows["split"] = split_rows(text_digests=digests, labels=rows["label"], config=SplitConfig())
    return rows[["text", "label", "split"]]


def first_part(rows: pd.DataFrame) -> pd.DataFrame:
    """Return all but 30 % of the train rows, chosen by a digest of the text."""
    early = rows["text"].map(lambda text: int(digest_text(text)[:8], 16) / 16**8 < SHARE)
    return rows[early | (rows["split"] != "train")]


def train(path: Path, name: str, environment: dict[str, str], *flags: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("lstm-text")), "train", "--data.path", str(path), "--json"]
    command += ["--data.split-column", "split", "--registration.model-name", name, *flags]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stderr[-3_000:])
    found: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    print(
        "| data | start | test accuracy | test macro-F1 | log loss | training |\n"
        "| --- | --- | ---: | ---: | ---: | ---: |"
    )
    for path in parser.parse_args().files:
        rows = read_rows(path)
        with tempfile.TemporaryDirectory(prefix="bench-warm-") as scratch:
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
            environment = {**kept, "LSTM_TEXT_STATE": scratch}
            parts = {"first": first_part(rows), "grown": rows}
            for name, part in parts.items():
                part.to_parquet(Path(scratch) / f"{name}.parquet", index=False)
            grown = Path(scratch) / "grown.parquet"
            runs = {
                f"(champion, {SHARE:.0%} of the rows)": train(Path(scratch) / "first.parquet", "warm", environment),
                "afresh": train(grown, "fresh", environment),
                "champion's weights": train(grown, "warm", environment, "--training.warm-start", "champion"),
            }
        for start, run in runs.items():
            figures = run["metrics"]
            cells = [f"{figures[name]:.4f}" for name in ("accuracy", "macro_f1", "log_loss")]
            print(
                f"| {path.name} | {start} | {' | '.join(cells)} | {run['seconds']['train_model']:.0f} s |", flush=True
            )


if __name__ == "__main__":
    main()
