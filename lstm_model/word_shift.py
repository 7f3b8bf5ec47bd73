"""Do two sets of texts use different words? A classifier is trained to tell them apart; if it cannot, they do not.

Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"; Rabanser et al. 2019, "Failing loudly".
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from lstm_model.profile import Profile

Bool = npt.NDArray[np.bool_]
FOLDS = 5
SHOWN_WORDS = 10


@dataclass(frozen=True)
class WordShift:
    """auc: chance that the classifier, shown a row of each set, knows which is which; 0.5 is guessing.

    words: token_id, share of reference rows and share of batch rows that hold it; those that give the batch away most.
    """

    auc: float
    words: list[tuple[int, float, float]]


def word_shift(reference: Profile, batch: Profile) -> WordShift:
    """Tell the sampled rows of two profiles apart by logistic regression on which tokens a row holds.

    The AUC is the mean over folds of rows that the classifier has not seen. A text is in one fold only, whichever set
    it is in, so copies cannot be recognised.
    """
    vocabulary = 1 + int(max(reference.token_ids.max(), batch.token_ids.max()))
    rows = vstack([_tokens_held(part, vocabulary) for part in (reference, batch)], format="csr")
    is_batch = np.repeat([False, True], [len(reference.digests), len(batch.digests)])
    folds = np.concatenate([reference.digests, batch.digests]) % np.uint64(FOLDS)
    areas, weights = [], []
    for fold in range(FOLDS):
        told, asked = folds != fold, folds == fold
        if len(set(is_batch[told])) == len(set(is_batch[asked])) == 2:
            areas.append(_area(rows, is_batch, told=told, asked=asked))
            weights.append(is_batch[asked].sum())
    auc = float(np.average(areas, weights=weights)) if areas else 0.5
    return WordShift(auc, _telling_words(rows, is_batch))


def chance_spread(reference_rows: float, batch_rows: float) -> float:
    """Return the standard deviation of the AUC where both sets are alike: that of Mann and Whitney's statistic."""
    return math.sqrt((reference_rows + batch_rows + 1) / (12 * reference_rows * batch_rows))


def _area(rows: csr_matrix, is_batch: Bool, *, told: Bool, asked: Bool) -> float:
    model = LogisticRegression(class_weight="balanced", solver="liblinear", random_state=0)
    model.fit(rows[told], is_batch[told])
    return float(roc_auc_score(is_batch[asked], model.decision_function(rows[asked])))


def _tokens_held(profile: Profile, vocabulary: int) -> csr_matrix:
    """Return float[S, V]: equal weights for the tokens that a row holds; all rows of length 1, the long ones too."""
    counts = csr_matrix(
        (np.ones(len(profile.token_ids)), profile.token_ids, profile.offsets), shape=(len(profile.digests), vocabulary)
    )
    counts.sum_duplicates()
    held = np.diff(counts.indptr)
    counts.data = np.repeat(1 / np.sqrt(np.maximum(held, 1)), held)
    return counts


def _telling_words(rows: csr_matrix, is_batch: Bool) -> list[tuple[int, float, float]]:
    """Return the tokens whose share of rows differs most, in standard deviations of chance."""
    reference, batch = ((rows[part] > 0).mean(axis=0).A1 for part in (~is_batch, is_batch))
    pooled = (reference * (~is_batch).sum() + batch * is_batch.sum()) / len(is_batch)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12))
    order = np.argsort(-np.abs(batch - reference) / spread, kind="stable")[:SHOWN_WORDS]
    return [(int(token), float(reference[token]), float(batch[token])) for token in order]
