"""Compare weights of the n-gram part on train rows alone: its accuracy on rows that it was not fitted on.

    python benchmarks/ngrams.py FILE ...

Files of more than 6,000 train rows: 5,000 are fitted and 8,000 answered; smaller ones: five folds.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from labelled_rows import read_labelled_rows

from lstm_model.ngrams import fit
from lstm_model.ngrams.counts import KINDS, Kind
from lstm_model.ngrams.ngram_model import NgramModel, NgramTable

# The power of the log-count ratio, and what naive Bayes weighs next to the SVM.
VARIANTS = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.5, 0.3), (0.5, 1.0))
Rows = np.ndarray


def folds(rows: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the numbers of the fitted and of the answered rows."""
    order = np.random.default_rng(3).permutation(rows)
    if rows > 6_000:
        yield order[:5_000], order[5_000:13_000]
        return
    for fold in range(5):
        inside = np.arange(rows) % 5 == fold
        yield order[~inside], order[inside]


def accuracy(texts: Rows, label_ids: Rows, kind: Kind, power: float, bayes: float) -> float:
    fit.RATIO_POWER = power  # type: ignore[misc]
    right = []
    for fitted, answered in folds(len(texts)):
        part = fit.fit_ngrams(
            texts[fitted].tolist(), label_ids[fitted], kind=kind, num_classes=int(label_ids.max()) + 1
        )
        assert part is not None
        with tempfile.TemporaryDirectory() as folder:
            part.save(Path(folder), kind, bayes=bayes)
            margins = NgramModel({kind: NgramTable(Path(folder), kind)}).margins(texts[answered].tolist())[kind]
        right.append(margins.argmax(axis=1) == label_ids[answered])
    return float(np.concatenate(right).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="labelled files")
    print("| data | part | " + " | ".join(f"power {power:g}, Bayes {bayes:g}" for power, bayes in VARIANTS) + " |")
    print("|---|---|" + "---:|" * len(VARIANTS))
    for path in parser.parse_args().files:
        rows = read_labelled_rows(path)
        train = rows[rows["split"] != "test"].drop_duplicates("text")
        texts, label_ids = train["text"].to_numpy(object), np.unique(train["label"], return_inverse=True)[1]
        for kind in KINDS:
            found = [accuracy(texts, label_ids.astype(np.int32), kind, *variant) for variant in VARIANTS]
            print(f"| {path.name} | {kind} | " + " | ".join(f"{value:.4f}" for value in found) + " |", flush=True)


if __name__ == "__main__":
    main()
