"""Compare two ways to retrain when the data has grown: from random weights and from the champion's.

    python benchmarks/warm_start.py FILE ...

A file has the columns text and label; the column split is optional. The first training uses 70 % of the train rows and
makes the champion. Two more use all of them, one from random weights and one from the champion's. All three are
evaluated on the same test rows.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from commands import TRAIN, environment, timed

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import split_rows
from lstm_model.digests import digest_text

SHARE = 0.7


def read_rows(path: Path) -> pd.DataFrame:
    """Return text, label and split; without a column split, the rows are split as by the pipeline."""
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    if "split" not in rows:
        digests = rows["text"].map(digest_text)
        rows["split"] = split_rows(text_digests=digests, labels=rows["label"], config=SplitConfig())
    return rows[["text", "label", "split"]]


def first_part(rows: pd.DataFrame) -> pd.DataFrame:
    """Return all but 30 % of the train rows, chosen by a digest of the text."""
    early = rows["text"].map(lambda text: int(digest_text(text)[:8], 16) / 16**8 < SHARE)
    return rows[early | (rows["split"] != "train")]


def train(state: Path, file: str, model: str, *flags: str) -> dict[str, Any]:
    """Train on a file of the state folder; return what the command prints as JSON."""
    data = ["--data.path", str(state / file), "--data.split-column", "split", "--registration.model-name", model]
    return timed([*TRAIN, *data, *flags], environment(state))[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="labelled files")
    files = parser.parse_args().files
    print("| data | start | test accuracy | test macro-F1 | log loss | training |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for path in files:
        rows = read_rows(path)
        with tempfile.TemporaryDirectory(prefix="bench-warm-") as scratch:
            state = Path(scratch)
            first_part(rows).to_parquet(state / "first.parquet", index=False)
            rows.to_parquet(state / "grown.parquet", index=False)
            runs = {
                f"(champion, {SHARE:.0%} of the rows)": train(state, "first.parquet", "warm"),
                "random weights": train(state, "grown.parquet", "fresh"),
                "champion's weights": train(state, "grown.parquet", "warm", "--training.warm-start", "champion"),
            }
        for start, run in runs.items():
            figures = run["metrics"]
            cells = [f"{figures[name]:.4f}" for name in ("accuracy", "macro_f1", "log_loss")]
            seconds = run["seconds"]["train_model"]
            print(f"| {path.name} | {start} | {' | '.join(cells)} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
