"""Fits the linear part: a linear SVM for each label over n-grams weighted by idf and by how much they say of the label.

Each n-gram is scaled by the square root of its absolute naive-Bayes log-count ratio for the label, after Wang and
Manning 2012, "Baselines and bigrams" (they scale by the ratio itself; docs/results.md compares). Everything that a text
contributes is a sum over its n-grams, its norm included, so that a server adds rows instead of reading n-grams again.

Naive Bayes over the same n-grams errs elsewhere (Ng and Jordan 2002, "On discriminative vs. generative classifiers"):
its weights, of each label against the rest (Rennie et al. 2003, "Tackling the poor assumptions of naive Bayes text
classifiers"), are kept next to the SVM's, to be added to them with a factor that validation rows choose.
"""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from lstm_model.arrays import Float32, Float64, Int32, Int64, UInt64
from lstm_model.ngrams.counts import Csr, Kind, count_ngrams, first_words, most_frequent
from lstm_model.ngrams.ngram_model import table_files

MOST_NUMBERS = 25_000_000  # Of 4 bytes in the files of a part: 100 MB. The most frequent n-grams stay.
MOST_NONZEROS = 20_000_000  # N-grams of texts: fitting takes about 50 bytes each. A larger file is sampled.
MEASURED_ROWS = 500
# What benchmarks/ngrams.py compares (docs/results.md).
LEAST_TEXTS: dict[Kind, int] = {"words": 2, "characters": 1}  # That an n-gram stands in. A single word stays.
RATIO_POWER = 0.5
SMOOTHING = 0.01  # Added to each count of naive Bayes.


@dataclass(frozen=True)
class Ngrams:
    """keys: uint64[F], sorted; weights, bayes: float32[F, C]; squares: float32[F], of the norm; intercepts: float32[C].

    bayes has the deviation of `weights` in the margins of the fitted rows; its mean over the labels is 0.
    """

    keys: UInt64
    weights: Float32
    bayes: Float32
    squares: Float32
    intercepts: Float32
    fitted_rows: int

    def save(self, folder: Path, name: str, *, bayes: float | None = None) -> None:
        """Write the two files that `NgramTable` reads.

        bayes: the factor of what is added to the weights, as it is served; None: its columns stay apart.
        """
        keys_file, rows_file = table_files(name)
        np.save(folder / keys_file, self.keys)
        weights = [self.weights, self.bayes] if bayes is None else [self.weights + np.float32(bayes) * self.bayes]
        rows = np.column_stack([*weights, self.squares])
        last = np.pad(self.intercepts, (0, rows.shape[1] - len(self.intercepts)))
        np.save(folder / rows_file, np.vstack([rows, last]))


def save_served(source: Path, target: Path, name: str, *, bayes: float) -> None:
    """Write the files of a table that has both as `Ngrams.save` does with this factor."""
    keys_file, rows_file = table_files(name)
    shutil.copyfile(source / keys_file, target / keys_file)
    rows = np.load(source / rows_file, mmap_mode="r", allow_pickle=False)
    classes = rows.shape[1] // 2
    weights = rows[:, :classes] + np.float32(bayes) * rows[:, classes:-1]
    np.save(target / rows_file, np.column_stack([weights, rows[:, -1]]))


def fit_ngrams(texts: Sequence[str], label_ids: Int32, *, kind: Kind, num_classes: int) -> Ngrams | None:
    """Fit on train rows; None if there is nothing to learn (no n-gram, or one label).

    Above MOST_NONZEROS, a sample of the rows is fitted, stratified by label; equal input gives equal weights.
    """
    chosen = sample_rows(texts, label_ids, [kind])
    texts, label_ids = [texts[row] for row in chosen], label_ids[chosen]
    keys, counts = count_ngrams(texts, kind, least=LEAST_TEXTS[kind])
    if len(np.unique(label_ids)) < 2:
        return None
    frequency = np.bincount(counts.indices, minlength=len(keys))
    kept = frequency >= LEAST_TEXTS[kind]
    if kind == "words":
        kept |= np.isin(keys, first_words(texts))
    per_ngram = num_classes + 3  # Weights, the share of the norm, and a key of 8 bytes.
    columns = most_frequent(frequency, kept, max(1, MOST_NUMBERS // per_ngram))
    if not columns.size:
        return None
    counts, idf = counts[:, columns], np.log((1 + len(texts)) / (1 + frequency[columns])) + 1
    weights, bayes, intercepts = _fit_labels(counts, idf, label_ids, num_classes)
    squares = (idf**2).astype(np.float32)
    return Ngrams(keys[columns], weights, bayes, squares, intercepts.astype(np.float32), fitted_rows=len(texts))


def sample_rows(texts: Sequence[str], label_ids: Int32, kinds: Sequence[Kind]) -> Int64:
    """Return the rows to fit, in order: all, or a stratified sample with about MOST_NONZEROS n-grams."""
    measured = [texts[row] for row in np.linspace(0, len(texts) - 1, min(len(texts), MEASURED_ROWS)).astype(int)]
    found = sum(count_ngrams(measured, kind)[1].nnz for kind in kinds) / max(1, len(measured)) * len(texts)
    if found <= MOST_NONZEROS:
        return np.arange(len(texts))
    order = np.random.default_rng(0).permutation(len(texts))
    order = order[np.argsort(label_ids[order], kind="stable")]
    # Evenly spaced in rows that are sorted by label.
    return np.sort(order[np.arange(0, len(order), found / MOST_NONZEROS).astype(np.int64)])


def _fit_labels(counts: Csr, idf: Float64, label_ids: Int32, num_classes: int) -> tuple[Float32, Float32, Float64]:
    """Return weights and bayes: float32[F, C] and intercepts: float64[C], one label against the rest."""
    norms = np.sqrt(counts @ idf**2)
    rows = sparse.csr_matrix(sparse.diags_array(1 / np.where(norms > 0, norms, 1)) @ counts)
    present = sparse.csr_matrix((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)
    total = np.asarray(present.sum(axis=0)).ravel()
    weights, intercepts = np.zeros((counts.shape[1], num_classes), np.float32), np.full(num_classes, -1.0)
    bayes, labels = np.zeros_like(weights), np.unique(label_ids)
    for label in labels:
        mine = label_ids == label
        inside = np.asarray(present[mine].sum(axis=0)).ravel()
        bayes[:, label] = _log_ratio(inside, total, SMOOTHING)
        if len(labels) == 2 and label == labels[0]:
            continue  # The SVM of the other label says it all.
        scale = idf * np.abs(_log_ratio(inside, total, 1)) ** RATIO_POWER
        scaled = sparse.csr_matrix((rows.data * scale[rows.indices], rows.indices, rows.indptr), shape=rows.shape)
        model = linear_svm(scaled, mine)
        weights[:, label], intercepts[label] = model.coef_[0] * scale, model.intercept_[0]
    if len(labels) == 2:
        weights[:, labels[0]], intercepts[labels[0]] = -weights[:, labels[1]], -intercepts[labels[1]]
    bayes[:, labels] -= bayes[:, labels].mean(axis=1, keepdims=True)
    spread = float((rows @ bayes).std())
    return weights, bayes * np.float32((rows @ weights).std() / spread if spread else 0), intercepts


def linear_svm(features: Csr, labels: npt.ArrayLike) -> LinearSVC:
    """Return a fitted linear SVM; equal input gives an equal one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The last iterations do not change the labels here.
        return LinearSVC(random_state=0).fit(features, labels)


def _log_ratio(inside: Float64, total: Float64, added: float) -> Float64:
    """Return log((inside / its sum) / (outside / its sum)) of texts per n-gram, after adding to counts: float64[F]."""
    mine, others = inside + added, total - inside + added
    return np.asarray(np.log(mine / mine.sum()) - np.log(others / others.sum()))
