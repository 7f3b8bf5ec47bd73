"""Do two sets of texts use different words? A classifier learns to separate them; an AUC near 0.5 means no.

Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"; Rabanser et al. 2019, "Failing loudly". Naive Bayes
takes 0.1 s where logistic regression takes 2 s, and detects as much.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.preprocessing import normalize

from lstm_model.drift.profile import Profile

FOLDS = 5
PRIOR_ROWS = 10.0  # Weight of a token's common share in each set's share: one occurrence is weak evidence.
SHOWN_WORDS = 12

Shift = tuple[int, float, float]  # token_id, its share of reference rows and of batch rows.


def word_shift(reference: Profile, batch: Profile) -> tuple[float, list[Shift]]:
    """Separate the sampled rows of two profiles; return the AUC and the most shifted words.

    The AUC is the probability that the classifier ranks a batch row above a reference row (0.5 is guessing): the mean
    over folds, each scored by a fit on the others.
    """
    rows = _token_presence(reference, batch)
    shares = normalize(rows, norm="l1")  # Long rows score no higher.
    is_batch = np.repeat([False, True], [len(reference.digests), len(batch.digests)])
    # By digest: all copies of a text are in one fold, so that no copy is recognised.
    folds = np.concatenate([reference.digests, batch.digests]) % np.uint64(FOLDS)
    areas, weights = [], []
    for fold in range(FOLDS):
        fitted, held_out = folds != fold, folds == fold
        if len(set(is_batch[fitted])) == len(set(is_batch[held_out])) == 2:
            prior = PRIOR_ROWS * np.maximum(rows[fitted].mean(axis=0), 1e-9)
            bayes = MultinomialNB(alpha=prior).fit(rows[fitted], is_batch[fitted])
            scores = shares[held_out] @ (bayes.feature_log_prob_[1] - bayes.feature_log_prob_[0])
            areas.append(roc_auc_score(is_batch[held_out], scores))
            weights.append((held_out & is_batch).sum())
    auc = float(np.average(areas, weights=weights)) if areas else 0.5
    return auc, _most_shifted_words(rows, is_batch)


def chance_spread(reference_rows: float, batch_rows: float) -> float:
    """Return the standard deviation of the AUC if both sets are alike: Mann and Whitney's, times sqrt(2)."""
    # Each pair of rows in different folds counts twice, so the folds are not independent; on news: 1.2 to 1.4 times.
    return math.sqrt((reference_rows + batch_rows + 1) / (6 * reference_rows * batch_rows))


def _token_presence(*profiles: Profile) -> csr_array:
    """Return float64[rows, V]: 1 if the row has the token."""
    token_ids = np.concatenate([profile.token_ids for profile in profiles]).astype(np.int64)
    starts = np.cumsum(np.concatenate([[0], *(profile.lengths for profile in profiles)]))
    rows = csr_array((np.ones(len(token_ids)), token_ids, starts), shape=(len(starts) - 1, int(token_ids.max()) + 1))
    rows.sum_duplicates()
    rows.data[:] = 1.0
    return rows


def _most_shifted_words(rows: csr_array, is_batch: npt.NDArray[np.bool_]) -> list[Shift]:
    """Return the tokens whose share of rows differs most, in standard deviations of chance."""
    before, now, common = (np.asarray(part.mean(axis=0)) for part in (rows[~is_batch], rows[is_batch], rows))
    spread = np.sqrt(np.maximum(common * (1 - common), 1 / len(is_batch)))
    order = np.argsort(-np.abs(now - before) / spread, kind="stable")[:SHOWN_WORDS]
    return [(int(token), float(before[token]), float(now[token])) for token in order]
