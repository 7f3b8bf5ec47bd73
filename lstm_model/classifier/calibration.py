"""Temperature scaling: one number that the logits are divided by, so that scores are the share of right answers.

Guo et al. 2017, "On calibration of modern neural networks". No label changes: the order of the logits stays.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

Float = npt.NDArray[np.floating[Any]]
Int = npt.NDArray[np.integer[Any]]

LOWEST, HIGHEST = 0.05, 20.0
FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """The temperature that the classifier gets, and why.

    temperature: 1 where the fitted one is not kept. log_loss_before, log_loss_after: of the validation rows in nats,
    the latter cross-fitted.
    """

    temperature: float
    temperature_kept: bool
    temperature_fitted: float
    log_loss_before: float
    log_loss_after: float


def calibrate(*, logits: Float, label_ids: Int, wanted: bool = True) -> Calibration:
    """Fit a temperature on logits: float[N, C] and label_ids: int[N]; keep it only where it helps.

    Whether it helps is judged by cross-fitting: each of five folds of the rows is judged at the temperature of the
    others. wanted: False leaves the logits as they are, and only says how good they are.
    """
    before = log_loss_at(logits, label_ids, np.ones(len(logits)))
    folds = np.arange(len(logits)) % min(FOLDS, len(logits))
    if not wanted or len(logits) < 2:
        return Calibration(1.0, False, 1.0, before, before)
    crossed = np.empty(len(logits))
    for fold in range(folds.max() + 1):
        crossed[folds == fold] = fit_temperature(logits=logits[folds != fold], label_ids=label_ids[folds != fold])
    after = log_loss_at(logits, label_ids, crossed)
    fitted = round(fit_temperature(logits=logits, label_ids=label_ids), 4)
    return Calibration(fitted if after < before else 1.0, bool(after < before), fitted, before, after)


def fit_temperature(*, logits: Float, label_ids: Int) -> float:
    """Return the temperature, from 0.05 to 20, that minimises the log loss of the rows.

    The labels are softened as Platt 1999 has it: each row counts as 1 / (N + 2) of a row of every label alike, so that
    ten rows that are all right do not ask for certainty. In b = 1 / temperature the loss is convex: the root of its
    slope is sought.
    """
    wide = logits.astype(np.float64)
    softness = 1 / (len(wide) + 2)
    target = (1 - softness) * wide[np.arange(len(wide)), label_ids] + softness * wide.mean(axis=1)

    def slope(log_b: float) -> float:
        return float(((softmax(np.exp(log_b) * wide, axis=1) * wide).sum(axis=1) - target).mean())

    low, high = np.log(1 / HIGHEST), np.log(1 / LOWEST)
    if slope(low) >= 0 or slope(high) <= 0:
        return HIGHEST if slope(low) >= 0 else LOWEST
    return float(np.exp(-brentq(slope, low, high, xtol=1e-14)))


def log_loss_at(logits: Float, label_ids: Int, temperatures: Float) -> float:
    """Return the mean log loss in nats of logits: float[N, C], each row divided by its temperature: float[N]."""
    scaled = log_softmax(logits.astype(np.float64) / temperatures[:, None], axis=1)
    return float(-scaled[np.arange(len(scaled)), label_ids].mean())
