"""The linear model that the classifier must beat to be worth its cost: the best of three, chosen on validation rows.

TF-IDF of words and word pairs, of characters within words, or of both, and a linear SVM: on topics and sentiment, hard
to beat without pretrained vectors (Wang and Manning 2012, "Baselines and bigrams").
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC

from lstm_model.ngrams.counts import KINDS, Csr, Kind, count_ngrams, most_frequent
from lstm_model.ngrams.fit import MOST_WEIGHTS, sample_rows

Rows = tuple[Sequence[str], Sequence[str]]  # Texts and labels.
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
    most_frequent = min(counts, key=lambda label: (-counts[label], label))
    best = BaselineAnswers("most frequent label", [most_frequent] * len(texts), {})
    accuracy: dict[str, float] = {}
    for kinds in FEATURES if len(counts) > 1 else ():
        answers = _fit_and_answer(kinds, train, [*validation[0], *texts])
        if answers is not None:
            name = f"TF-IDF of {' and '.join(kinds)} + linear SVM"
            found = float(np.mean(np.array(answers[: len(validation[0])], object) == np.array(validation[1], object)))
            if found > max(accuracy.values(), default=-1.0):
                best = BaselineAnswers(name, answers[len(validation[0]) :], {})
            accuracy[name] = found
    return BaselineAnswers(best.name, best.labels, accuracy)


def _fit_and_answer(kinds: Sequence[Kind], train: Rows, texts: Sequence[str]) -> list[str] | None:
    """Return the label of each text; None if no text has a term."""
    label_ids = np.unique(np.asarray(train[1], object), return_inverse=True)[1].astype(np.int32)
    chosen = sample_rows(train[0], label_ids, kinds)
    fitted = [train[0][row] for row in chosen]
    features = [_tf_idf(fitted, texts, kind, most=max(1, MOST_WEIGHTS // (int(label_ids.max()) + 1))) for kind in kinds]
    ours, theirs = (sparse.hstack(parts).tocsr() for parts in zip(*features, strict=True))
    if not ours.nnz:
        return None
    model = LinearSVC(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The last iterations do not change the labels here.
        model.fit(ours, [train[1][row] for row in chosen])
    return [str(label) for label in model.predict(theirs)]


def _tf_idf(fitted: Sequence[str], texts: Sequence[str], kind: Kind, *, most: int) -> tuple[Csr, Csr]:
    """Return the features of both, fitted on the first: terms of two texts or more, unless all terms are of one."""
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
