"""The linear model that the classifier must beat to be worth its cost: the best of three, chosen on validation rows.

TF-IDF of words and word pairs, of characters within words, or of both, and a linear SVM: on topics and sentiment, hard
to beat without pretrained vectors (Wang and Manning 2012, "Baselines and bigrams").
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from lstm_model.ngrams.counts import KINDS, Csr, Kind, count_ngrams, most_frequent
from lstm_model.ngrams.fit import MOST_WEIGHTS, linear_svm, sample_rows

Rows = tuple[Sequence[str], Sequence[str]]  # Texts and labels.
Features = Callable[[bytes, Kind], tuple[Csr, Csr]]
FEATURES: tuple[tuple[Kind, ...], ...] = (("words",), ("characters",), KINDS)


@dataclass(frozen=True)
class BaselineAnswers:
    """name: of the chosen model. labels: its answers. validation_accuracy: of each model that was tried."""

    name: str
    labels: list[str]
    validation_accuracy: dict[str, float]


def answer_with_baseline(*, train: Rows, validation: Rows, texts: Sequence[str]) -> BaselineAnswers:
    """Fit the three models on train rows and answer the texts with the one that is best on validation rows.

    Above MOST_NONZEROS n-grams, a model is fitted on a stratified sample; equal input gives equal answers. If there is
    nothing to learn (texts without words, one label), every text gets the most frequent train label.
    """
    counts = Counter(train[1])
    usual = min(counts, key=lambda label: (-counts[label], label))
    best = BaselineAnswers("most frequent label", [usual] * len(texts), {})
    accuracy: dict[str, float] = {}
    features = cache(partial(_tf_idf, train[0], [*validation[0], *texts], most=max(1, MOST_WEIGHTS // len(counts))))
    for kinds in FEATURES if len(counts) > 1 else ():
        answers = _fit_and_answer(kinds, train, features)
        if answers is not None:
            name = f"TF-IDF of {' and '.join(kinds)} + linear SVM"
            found = float(np.mean(np.array(answers[: len(validation[0])], object) == np.array(validation[1], object)))
            if found > max(accuracy.values(), default=-1.0):
                best = BaselineAnswers(name, answers[len(validation[0]) :], {})
            accuracy[name] = found
    return BaselineAnswers(best.name, best.labels, accuracy)


def _fit_and_answer(kinds: Sequence[Kind], train: Rows, features: Features) -> list[str] | None:
    """Return the label of each text; None if no text has a term. features: of a kind, for the chosen train rows."""
    label_ids = np.unique(np.asarray(train[1], object), return_inverse=True)[1].astype(np.int32)
    chosen = sample_rows(train[0], label_ids, kinds)
    parts = [features(chosen.tobytes(), kind) for kind in kinds]
    ours, theirs = (sparse.hstack(part).tocsr() for part in zip(*parts, strict=True))
    if not ours.nnz:
        return None
    model = linear_svm(ours, [train[1][row] for row in chosen])
    return [str(label) for label in model.predict(theirs)]


def _tf_idf(train: Sequence[str], texts: Sequence[str], rows: bytes, kind: Kind, *, most: int) -> tuple[Csr, Csr]:
    """Return the features of both: terms of two train texts or more, unless all terms are of one.

    rows: int64 numbers of the train texts to fit, as bytes, so that the answer can be cached.
    """
    fitted = [train[row] for row in np.frombuffer(rows, np.int64)]
    keys, counts = count_ngrams(fitted, kind)
    frequency = np.bincount(counts.indices, minlength=len(keys))
    kept = frequency >= (2 if (frequency >= 2).any() else 1)
    columns = most_frequent(frequency, kept, most)
    ours = counts[:, columns].astype(np.float64)
    theirs = count_ngrams(texts, kind, keys[columns])[1].astype(np.float64)
    if not columns.size:
        return ours, theirs
    weigh = TfidfTransformer(sublinear_tf=True).fit(ours)
    return weigh.transform(ours), weigh.transform(theirs)
