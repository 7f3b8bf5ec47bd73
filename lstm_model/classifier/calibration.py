"""Temperature scaling: divide the logits by one number, so that a score is the share of right answers.

Guo et al. 2017, "On calibration of modern neural networks". The order of the logits stays, so no label changes.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from lstm_model.arrays import Float, Int

LOWEST, HIGHEST = 0.05, 20.0
FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    temperature: float  # 1 unless the fitted one is kept.
    temperature_kept: bool
    temperature_fitted: float
    log_loss_before: float  # Of validation rows, in nats.
    log_loss_after: float  # Cross-fitted.


def calibrate(*, logits: Float, label_ids: Int, wanted: bool = True) -> Calibration:
    """Fit a temperature on logits: float[N, C], label_ids: int[N]; keep it if it lowers the cross-fitted log loss."""
    before = log_loss_at(logits, label_ids, np.ones(len(logits)))
    if not wanted or len(logits) < 2:
        return Calibration(1.0, False, 1.0, before, before)
    folds = np.arange(len(logits)) % FOLDS
    crossed = np.empty(len(logits))
    for fold in np.unique(folds):
        crossed[folds == fold] = fit_temperature(logits=logits[folds != fold], label_ids=label_ids[folds != fold])
    after = log_loss_at(logits, label_ids, crossed)
    fitted = round(fit_temperature(logits=logits, label_ids=label_ids), 4)
    return Calibration(fitted if after < before else 1.0, bool(after < before), fitted, before, after)


def fit_temperature(*, logits: Float, label_ids: Int) -> float:
    """Return the temperature, from 0.05 to 20, that minimises the log loss of the rows.

    Labels are smoothed after Platt 1999: 1 / (N + 2) of each row is spread over all labels, so that ten right answers
    do not give certainty. The loss is convex in 1 / temperature; this finds the root of its slope.
    """
    wide = logits.astype(np.float64)
    softness = 1 / (len(wide) + 2)
    target = (1 - softness) * wide[np.arange(len(wide)), label_ids] + softness * wide.mean(axis=1)

    def slope(log_b: float) -> float:
        return float(((softmax(np.exp(log_b) * wide, axis=1) * wide).sum(axis=1) - target).mean())

    low, high = np.log(1 / HIGHEST), np.log(1 / LOWEST)
    if slope(low) >= 0:
        return HIGHEST
    if slope(high) <= 0:
        return LOWEST
    return float(np.exp(-brentq(slope, low, high, xtol=1e-14)))


def log_loss_at(logits: Float, label_ids: Int, temperatures: Float) -> float:
    """Return the mean log loss in nats of logits: float[N, C], each row divided by its temperature: float[N]."""
    scaled = log_softmax(logits.astype(np.float64) / temperatures[:, None], axis=1)
    return float(-scaled[np.arange(len(scaled)), label_ids].mean())
