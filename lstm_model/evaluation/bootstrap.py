"""How far figures can be trusted: percentile bootstrap intervals of accuracy, macro-F1 and F1, alone and paired.

Efron 1979, "Bootstrap methods: another look at the jackknife"; paired over the rows as in Koehn 2004, "Statistical
significance tests for machine translation evaluation". Rows that agree in label and predictions are alike to every
figure here, so instead of rows the counts of such cells are drawn, from a multinomial: the same distribution, and
2,000 rounds over 100,000 rows of 20 classes take under a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Int = npt.NDArray[np.integer[Any]]
Float = npt.NDArray[np.float64]
Interval = tuple[float, float]
DRAWN_COUNTS = 4_000_000  # Bounds memory: counts held at once, 8 bytes each.


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: how many rounds, from which seed, and how sure."""

    rounds: int = 2_000
    seed: int = 42
    confidence: float = 0.95


def bootstrap(
    *, label_ids: Int, predictions: Mapping[str, Int], num_classes: int, resampling: Resampling
) -> dict[str, dict[str, Float]]:
    """Return for each predictor what resampled rows give: accuracy float64[R], macro_f1 float64[R], f1 float64[R, C].

    label_ids: int[N] in [0, C). predictions: int[N] by name, or -1 where the predictor names none of the C labels.
    All predictors see the same rows in each round, so their differences are paired. F1 is 0 for a class that is
    neither true nor predicted, as in `metrics.macro_f1`. Raises ValueError without rows.
    """
    if not len(label_ids):
        raise ValueError("Expected at least one row to resample, found none.")
    columns = np.stack([label_ids, *predictions.values()], axis=1).astype(np.int64)
    cells, counts = np.unique(columns, axis=0, return_counts=True)
    actual = _members(cells[:, 0], num_classes)
    guessed = {name: _members(cells[:, place], num_classes) for place, name in enumerate(predictions, start=1)}
    rng = np.random.default_rng(resampling.seed)
    step = max(1, DRAWN_COUNTS // len(cells))
    parts: list[dict[str, dict[str, Float]]] = []
    for first in range(0, resampling.rounds, step):
        rounds = min(step, resampling.rounds - first)
        drawn = rng.multinomial(len(label_ids), counts / counts.sum(), size=rounds).astype(np.float64)
        parts.append({name: _figures(drawn, actual, predicted) for name, predicted in guessed.items()})
    return {
        name: {
            figure: np.concatenate([part[name][figure] for part in parts]) for figure in ("accuracy", "macro_f1", "f1")
        }
        for name in predictions
    }


def interval(values: Float, confidence: float) -> Interval:
    """Return the percentile interval of resampled values: float64[R]."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _members(ids: Int, num_classes: int) -> sparse.csr_array:
    """Return [cells, C]: 1 where the cell has the class. An id of -1 is no class."""
    inside = np.flatnonzero(ids >= 0)
    ones = np.ones(len(inside))
    return sparse.csr_array((ones, (inside, ids[inside])), shape=(len(ids), num_classes))


def _figures(drawn: Float, actual: sparse.csr_array, predicted: sparse.csr_array) -> dict[str, Float]:
    # With many classes most entries are zero: dense products would cost classes times as much.
    right = drawn @ actual.multiply(predicted)
    f1 = 2 * right / np.maximum(drawn @ (actual + predicted), 1)
    return {"accuracy": right.sum(axis=1) / drawn.sum(axis=1), "macro_f1": f1.mean(axis=1), "f1": f1}
