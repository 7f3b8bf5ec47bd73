"""Compare `lstm-text train` with TF-IDF and a linear SVM: test accuracy, time and peak memory on the same rows.

    python benchmarks/accuracy.py FILE ... [-- flags for lstm-text train]

A file has the columns text and label. The column split is optional; without it, rows are split as by the pipeline.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from commands import TRAIN, environment, timed

from lstm_model.config.split import SplitConfig
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.splitting import honour_given_split, split_rows
from lstm_model.digests import digest_text
from lstm_model.evaluation.baseline import predict_with_baseline


def run_pipeline(path: Path, flags: list[str]) -> dict[str, float]:
    """Train with an empty state folder, so that nothing is cached."""
    split = ["--data.split-column", "split"] if "split" in read_columns(path) else []
    with tempfile.TemporaryDirectory() as state:
        seconds, answer = timed([*TRAIN, "--data.path", str(path), *split, *flags], environment(state))
    fit = answer["seconds"]["train_model"]
    return {"lstm": answer["metrics"]["accuracy"], "rows": answer["metrics"]["rows"], "seconds": seconds, "fit": fit}


def run_baseline(path: Path) -> dict[str, float]:
    """Fit the baseline on train and validation rows, because the network uses both; evaluate it on the test rows."""
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="labelled files")
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    files, flags = parser.parse_args(arguments[:cut]).files, arguments[cut + 1 :]
    print("| data | test rows | lstm-text | whole command | training | peak memory | TF-IDF + SVM | SVM training |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path in files:
        ours, baseline = run_pipeline(path, flags), run_baseline(path)
        # The largest child process so far: exact for the first file, an upper bound for the next ones.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(
            f"| {path.name} | {ours['rows']:,.0f} | {ours['lstm']:.4f} | {ours['seconds']:.0f} s | {ours['fit']:.0f} s "
            f"| {peak:.2f} GB | {baseline['svm']:.4f} | {baseline['svm_seconds']:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
