"""Compare variants of the n-gram parts on train rows alone: accuracy on rows that they were not fitted on.

    python benchmarks/ngrams.py FILE ...

Files with 1,000 train rows more than --fitted: that many are fitted and up to 8,000 others answered; smaller ones: five
folds. Naive Bayes is added with the factor 0.3, if the variant does not say otherwise. `both` weighs the two parts with
a number each, fitted on one half of the answered rows for the other half; the second figure is the log loss in nats.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
from labelled_rows import read_labelled_rows
from scipy.special import log_softmax

from lstm_model.classifier.mixture import fit_weights
from lstm_model.ngrams import counts, fit, pieces
from lstm_model.ngrams.counts import KINDS
from lstm_model.ngrams.ngram_model import NgramModel, NgramTable
from lstm_model.ngrams.pieces import character_ngrams

Rows = np.ndarray
NO_JOINTS = np.zeros(0, np.uint64), np.zeros(0, np.int64)
BAYES = 0.3
# Of each variant: what is replaced, and the factor of naive Bayes.
VARIANTS: dict[str, tuple[list, float]] = {
    "kept": ([], BAYES),
    "characters in two texts": ([patch.dict(fit.LEAST_TEXTS, characters=2)], BAYES),
    "no single characters": (
        [patch.object(counts, "character_ngrams", lambda pieces: list(character_ngrams(pieces))[1:])],
        BAYES,
    ),
    "no triples": ([patch.object(pieces, "LONGEST_RUN", 2)], BAYES),
    "no joints": ([patch.object(counts, "joints_of", lambda edges, starts: NO_JOINTS)], BAYES),
    "word runs of one text": ([patch.dict(fit.LEAST_TEXTS, words=1)], BAYES),
    "power 0": ([patch.object(fit, "RATIO_POWER", 0.0)], BAYES),
    "power 1": ([patch.object(fit, "RATIO_POWER", 1.0)], BAYES),
    "smoothing 0.1": ([patch.object(fit, "SMOOTHING", 0.1)], BAYES),
    "smoothing 1": ([patch.object(fit, "SMOOTHING", 1.0)], BAYES),
    "Bayes 0": ([], 0.0),
    "Bayes 1": ([], 1.0),
}


def folds(rows: int, fitted: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the numbers of the fitted and of the answered rows."""
    order = np.random.default_rng(3).permutation(rows)
    if rows > fitted + 1_000:
        yield order[:fitted], order[fitted : fitted + 8_000]
        return
    for fold in range(5):
        inside = np.arange(rows) % 5 == fold
        yield order[~inside], order[inside]


def margins(texts: Rows, label_ids: Rows, fitted: int, bayes: float) -> tuple[dict[str, Rows], Rows]:
    """Return the margins of each part for rows that it was not fitted on, and the labels of these rows."""
    found, rows = [], []
    for inside, answered in folds(len(texts), fitted):
        with tempfile.TemporaryDirectory() as folder:
            for kind in KINDS:
                part = fit.fit_ngrams(
                    texts[inside].tolist(), label_ids[inside], kind=kind, num_classes=int(label_ids.max()) + 1
                )
                assert part is not None
                part.save(Path(folder), kind, bayes=bayes)
            tables = {kind: NgramTable(Path(folder), kind) for kind in KINDS}
            found.append(NgramModel(tables).margins(texts[answered].tolist()))
        rows.append(answered)
    return {kind: np.concatenate([part[kind] for part in found]) for kind in KINDS}, label_ids[np.concatenate(rows)]


def weigh(parts: dict[str, Rows], label_ids: Rows) -> Rows:
    """Return log probabilities of the mixture, each half of the rows with the weights of the other."""
    mixed = np.zeros(parts["words"].shape)
    odd = np.arange(len(label_ids)) % 2 == 1
    for half in (odd, ~odd):
        weights = fit_weights([part[half] for part in parts.values()], label_ids[half])
        mixed[~half] = sum(weight * part[~half] for weight, part in zip(weights, parts.values(), strict=True))
    return log_softmax(mixed, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="labelled files")
    parser.add_argument("--fitted", type=int, default=5_000, help="train rows to fit")
    args = parser.parse_args()
    for path in args.files:
        rows = read_labelled_rows(path)
        train = rows[rows["split"] != "test"].drop_duplicates("text")
        texts = train["text"].to_numpy(object)
        label_ids = np.unique(train["label"], return_inverse=True)[1].astype(np.int32)
        print(f"\n| {path.name} | words | characters | both |\n|---|---:|---:|---:|")
        for name, (changes, bayes) in VARIANTS.items():
            with ExitStack() as stack:
                for change in changes:
                    stack.enter_context(change)
                parts, answered = margins(texts, label_ids, args.fitted, bayes)
            right = [f"{(parts[kind].argmax(axis=1) == answered).mean():.4f}" for kind in KINDS]
            mixed = weigh(parts, answered)
            loss = -mixed[np.arange(len(answered)), answered].mean()
            both = f"{(mixed.argmax(axis=1) == answered).mean():.4f} / {loss:.4f}"
            print(f"| {name} | {' | '.join(right)} | {both} |", flush=True)


if __name__ == "__main__":
    main()
