"""Percentile bootstrap intervals of accuracy, macro-F1 and F1, of one predictor or of the difference of two.

Efron 1979, "Bootstrap methods: another look at the jackknife"; paired over the rows as in Koehn 2004, "Statistical
significance tests for machine translation evaluation". Each round draws from a multinomial how many rows have each
combination of label and predictions: the same distribution as drawing rows, but 100,000 rows take under a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from lstm_model.arrays import Float64, Int

Interval = tuple[float, float]
DRAWN_COUNTS = 4_000_000  # Bounds memory: counts in memory at once, 8 bytes each.


@dataclass(frozen=True)
class Resampling:
    rounds: int = 2_000
    seed: int = 42
    confidence: float = 0.95  # The level of the intervals.


def bootstrap(
    *, label_ids: Int, predictions: Mapping[str, Int], num_classes: int, resampling: Resampling
) -> dict[str, dict[str, Float64]]:
    """Return the metrics of each predictor in R rounds: accuracy float64[R], macro_f1 float64[R], f1 float64[R, C].

    label_ids: int[N] in [0, C). predictions: int[N] by name; -1 is none of the C labels. All predictors get the same
    rows in each round. F1 is 0 for a class that is neither true nor predicted. Raises ValueError without rows.
    """
    if not len(label_ids):
        raise ValueError("There are no rows to resample.")
    columns = np.stack([label_ids, *predictions.values()], axis=1).astype(np.int64)
    cells, counts = np.unique(columns, axis=0, return_counts=True)
    actual, *predicted = (_members(ids, num_classes) for ids in cells.T)
    rng = np.random.default_rng(resampling.seed)
    step = max(1, DRAWN_COUNTS // len(cells))
    parts = []
    for first in range(0, resampling.rounds, step):
        rounds = min(step, resampling.rounds - first)
        drawn = rng.multinomial(len(label_ids), counts / counts.sum(), size=rounds).astype(np.float64)
        parts.append([_metrics(drawn, actual, guessed) for guessed in predicted])
    return {
        name: {metric: np.concatenate([part[metric] for part in rounds]) for metric in rounds[0]}
        for name, rounds in zip(predictions, zip(*parts, strict=True), strict=True)
    }


def interval(values: Float64, confidence: float) -> Interval:
    """Return the percentile interval of resampled values: float64[R]."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _members(ids: Int, num_classes: int) -> sparse.csr_array:
    """Return [cells, C]: 1 if the cell has the class. An id of -1 is no class."""
    inside = np.flatnonzero(ids >= 0)
    return sparse.csr_array((np.ones(len(inside)), (inside, ids[inside])), shape=(len(ids), num_classes))


def _metrics(drawn: Float64, actual: sparse.csr_array, predicted: sparse.csr_array) -> dict[str, Float64]:
    # Sparse: with many classes most entries are zero, and dense products would be slower by the number of classes.
    right = drawn @ actual.multiply(predicted)
    f1 = 2 * right / np.maximum(drawn @ (actual + predicted), 1)
    return {"accuracy": right.sum(axis=1) / drawn.sum(axis=1), "macro_f1": f1.mean(axis=1), "f1": f1}
