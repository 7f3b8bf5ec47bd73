"""Fits the linear part: a linear SVM for each label over n-grams weighted by idf and by how much they say of the label.

Each n-gram is scaled by the square root of its absolute naive-Bayes log-count ratio for the label, after Wang and
Manning 2012, "Baselines and bigrams" (they scale by the ratio itself; docs/results.md compares). Everything that a text
contributes is a sum over its n-grams, its norm included, so that a server adds rows instead of reading n-grams again.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from lstm_model.ngrams.counts import Csr, Kind, count_ngrams, first_words, most_frequent
from lstm_model.ngrams.ngram_model import table_files
from lstm_model.ngrams.pieces import UInt64

MOST_WEIGHTS = 25_000_000  # N-grams times labels: the file has at most 100 MB. The most frequent n-grams stay.
MOST_NONZEROS = 20_000_000  # N-grams of texts: fitting takes about 50 bytes each. A larger file is sampled.
MEASURED_ROWS = 500
RATIO_POWER = 0.5  # benchmarks/ngrams.py compares 0, 0.5 and 1.

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Ngrams:
    """keys: uint64[F], sorted; weights: float32[F, C]; squares: float32[F], of the norm; intercepts: float32[C]."""

    keys: UInt64
    weights: Float32
    squares: Float32
    intercepts: Float32
    fitted_rows: int

    def save(self, folder: Path, name: str) -> None:
        """Write the two files that `NgramTable` reads."""
        keys_file, rows_file = table_files(name)
        np.save(folder / keys_file, self.keys)
        rows = np.column_stack([self.weights, self.squares])
        np.save(folder / rows_file, np.vstack([rows, [*self.intercepts, 0]]).astype(np.float32))


def fit_ngrams(texts: Sequence[str], label_ids: Int32, *, kind: Kind, num_classes: int) -> Ngrams | None:
    """Fit on train rows; None if there is nothing to learn (no n-gram, or one label).

    Above MOST_NONZEROS, a sample of the rows is fitted, stratified by label; equal input gives equal weights.
    """
    chosen = sample_rows(texts, label_ids, [kind])
    texts, label_ids = [texts[row] for row in chosen], label_ids[chosen]
    keys, counts = count_ngrams(texts, kind)
    if len(np.unique(label_ids)) < 2:
        return None
    frequency = np.bincount(counts.indices, minlength=len(keys))
    # Any n-gram of a single text is noise, except a word, which names the text's topic.
    kept = frequency >= 2
    if kind == "words":
        kept |= np.isin(keys, first_words(texts))
    columns = most_frequent(frequency, kept, max(1, MOST_WEIGHTS // num_classes))
    if not columns.size:
        return None
    counts, idf = counts[:, columns], np.log((1 + len(texts)) / (1 + frequency[columns])) + 1
    weights, intercepts = _fit_labels(counts, idf, label_ids, num_classes)
    return Ngrams(
        keys[columns], weights, (idf**2).astype(np.float32), intercepts.astype(np.float32), fitted_rows=len(texts)
    )


def sample_rows(texts: Sequence[str], label_ids: Int32, kinds: Sequence[Kind]) -> npt.NDArray[np.int64]:
    """Return the rows to fit, in order: all, or a stratified sample with about MOST_NONZEROS n-grams."""
    measured = [texts[row] for row in np.linspace(0, len(texts) - 1, min(len(texts), MEASURED_ROWS)).astype(int)]
    found = sum(count_ngrams(measured, kind)[1].nnz for kind in kinds) / max(1, len(measured)) * len(texts)
    if found <= MOST_NONZEROS:
        return np.arange(len(texts))
    order = np.random.default_rng(0).permutation(len(texts))
    order = order[np.argsort(label_ids[order], kind="stable")]
    # Evenly spaced in rows that are sorted by label.
    return np.sort(order[np.arange(0, len(order), found / MOST_NONZEROS).astype(np.int64)])


def _fit_labels(
    counts: Csr, idf: npt.NDArray[np.float64], label_ids: Int32, num_classes: int
) -> tuple[Float32, npt.NDArray[np.float64]]:
    """Return weights: float32[F, C] and intercepts: float64[C], one label against the rest."""
    norms = np.sqrt(counts @ idf**2)
    rows = sparse.csr_matrix(sparse.diags_array(1 / np.where(norms > 0, norms, 1)) @ counts)
    present = sparse.csr_matrix((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)
    total = np.asarray(present.sum(axis=0)).ravel()
    weights, intercepts = np.zeros((counts.shape[1], num_classes), np.float32), np.full(num_classes, -1.0)
    labels = np.unique(label_ids)
    for label in labels if len(labels) > 2 else labels[1:]:
        mine = label_ids == label
        scale = idf * np.abs(_log_ratio(present[mine].sum(axis=0), total)) ** RATIO_POWER
        scaled = sparse.csr_matrix((rows.data * scale[rows.indices], rows.indices, rows.indptr), shape=rows.shape)
        model = linear_svm(scaled, mine)
        weights[:, label], intercepts[label] = model.coef_[0] * scale, model.intercept_[0]
    if len(labels) == 2:
        weights[:, labels[0]], intercepts[labels[0]] = -weights[:, labels[1]], -intercepts[labels[1]]
    return weights, intercepts


def linear_svm(features: Csr, labels: npt.ArrayLike) -> LinearSVC:
    """Return a fitted linear SVM; equal input gives an equal one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The last iterations do not change the labels here.
        return LinearSVC(random_state=0).fit(features, labels)


def _log_ratio(inside: npt.ArrayLike, total: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return log((inside / its sum) / (outside / its sum)) of texts per n-gram, each count plus one: float64[F]."""
    inside = np.asarray(inside).ravel()
    ones, others = 1 + inside, 1 + total - inside
    return np.asarray(np.log(ones / ones.sum()) - np.log(others / others.sum()))
