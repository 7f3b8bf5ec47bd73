"""The linear model that the classifier must beat to be worth its cost: the best of three, chosen on validation rows.

TF-IDF of words and runs of words, of characters, or of both (the n-grams of the classifier), and a linear SVM: hard to
beat without pretrained vectors (Wang and Manning 2012, "Baselines and bigrams").
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC

from lstm_model.arrays import UInt64
from lstm_model.ngrams.counts import KINDS, Csr, Kind, count_ngrams, most_frequent
from lstm_model.ngrams.fit import MOST_NUMBERS, linear_svm, sample_rows

Rows = tuple[Sequence[str], Sequence[str]]  # Texts and labels.
Answer = Callable[[Sequence[str]], list[str]]  # Texts -> the label of each.
FEATURES: tuple[tuple[Kind, ...], ...] = (("words",), ("characters",), KINDS)
CHUNK_ROWS = 10_000  # Answered at once; bounds memory.


@dataclass(frozen=True)
class BaselineAnswers:
    """name: of the chosen model. labels: its answers. validation_accuracy: of each model that was tried."""

    name: str
    labels: list[str]
    validation_accuracy: dict[str, float]


@dataclass(frozen=True)
class _Terms:
    """Terms of one kind, their keys: uint64[F], sorted, and how counts of them are weighted."""

    kind: Kind
    keys: UInt64
    weighting: TfidfTransformer

    def read(self, texts: Sequence[str]) -> Csr:
        """Return float64[N, F]."""
        return self.weighting.transform(count_ngrams(texts, self.kind, self.keys)[1].astype(np.float64), copy=False)


def answer_with_baseline(*, train: Rows, validation: Rows, texts: Sequence[str]) -> BaselineAnswers:
    """Fit the three models on train rows; answer the texts with the one that is best on validation rows.

    That one is fitted again on both, as the classifier's n-grams are, so that the two are compared on equal terms.
    Above MOST_NONZEROS n-grams, a model is fitted on a stratified sample; equal input gives equal answers. If there is
    nothing to learn (texts without words, one label), every text gets the most frequent train label.
    """
    counts, accuracy = Counter(train[1]), dict[str, float]()
    name, best = "most frequent label", tuple[Kind, ...]()
    most = max(1, MOST_NUMBERS // len(counts))
    # Words and characters, to use them again if the model of both is fitted on the same rows.
    features = lru_cache(maxsize=2)(partial(_tf_idf, train[0], most=most))
    for kinds in FEATURES if len(counts) > 1 else ():
        if answer := _fit(kinds, train, features):
            title = f"TF-IDF of {' and '.join(kinds)} + linear SVM"
            right = np.array(answer(validation[0]), object) == np.array(validation[1], object)
            if right.mean() > max(accuracy.values(), default=-1.0):
                name, best = title, kinds
            accuracy[title] = float(right.mean())
    if best:
        features.cache_clear()
        rows = ([*train[0], *validation[0]], [*train[1], *validation[1]])
        final = _fit(best, rows, partial(_tf_idf, rows[0], most=most))
        assert final, "train rows have a term"
        return BaselineAnswers(name, final(texts), accuracy)
    usual = min(counts, key=lambda label: (-counts[label], label))
    return BaselineAnswers(name, [usual] * len(texts), accuracy)


def _fit(kinds: Sequence[Kind], train: Rows, features: Callable[[bytes, Kind], Any]) -> Answer | None:
    """Return how to answer; None if no text has a term. features: of a kind, for the chosen train rows."""
    label_ids = np.unique(np.asarray(train[1], object), return_inverse=True)[1].astype(np.int32)
    chosen = sample_rows(train[0], label_ids, kinds)
    parts = [part for kind in kinds if (part := features(chosen.tobytes(), kind))]
    if not parts:
        return None
    svm = linear_svm(_joined([rows for rows, _ in parts]), [train[1][row] for row in chosen])
    return partial(_answer, svm, [terms for _, terms in parts])


def _answer(svm: LinearSVC, terms: list[_Terms], texts: Sequence[str]) -> list[str]:
    labels: list[str] = []
    for first in range(0, len(texts), CHUNK_ROWS):
        chunk = texts[first : first + CHUNK_ROWS]
        labels += svm.predict(_joined([one.read(chunk) for one in terms])).tolist()
    return labels


def _joined(parts: list[Csr]) -> Csr:
    return sparse.hstack(parts).tocsr() if len(parts) > 1 else parts[0]  # Of one part, it would be a copy.


def _tf_idf(train: Sequence[str], chosen: bytes, kind: Kind, *, most: int) -> tuple[Csr, _Terms] | None:
    """Return the features and terms of train texts: terms of two texts or more, unless all terms are of one.

    chosen: int64 numbers of the texts to fit, as bytes, so that the answer can be cached.
    """
    texts = [train[row] for row in np.frombuffer(chosen, np.int64)]
    keys, counts = count_ngrams(texts, kind, least=2)
    frequency = np.bincount(counts.indices, minlength=len(keys))
    kept = frequency >= (2 if (frequency >= 2).any() else 1)
    columns = most_frequent(frequency, kept, most)
    if not columns.size:
        return None
    counts = counts[:, columns]
    counts = counts.astype(np.float64)  # By itself: all counts are gone by now.
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts)
    return weighting.transform(counts, copy=False), _Terms(kind, keys[columns], weighting)
