"""How much each part of the classifier counts: weights of the LSTM's logits and of the n-grams' margins.

A few numbers, fitted on validation rows, which neither part was fitted on: stacking (Wolpert 1992, "Stacked
generalization"). A part stays out if the cross-fitted log loss is lower without it; the LSTM always stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from lstm_model.arrays import Float, Float64, Int
from lstm_model.classifier.calibration import FOLDS, log_loss_at
from lstm_model.classifier.classifier import LSTM

MOST_ROWS = 20_000  # Enough for three numbers.
BAYES = (0.0, 0.3, 1.0)  # What naive Bayes may weigh next to the SVM of equal deviation.
LOWEST, HIGHEST = np.log(1e-4), np.log(1e4)  # Of a part's weight, after scaling each part to a deviation of 1.


@dataclass(frozen=True)
class Mixture:
    weights: dict[str, float]  # Of each part that stays; empty if that is the LSTM alone.
    shares: dict[str, float]  # Of each part in the deviation of the mixed logits; sum 1.
    log_losses: dict[str, float]  # Cross-fitted, in nats, of each combination that was tried: "lstm + words".
    bayes: float = 0.0  # One of BAYES.


def fit_mixture(parts: Mapping[str, Float], label_ids: Int, bayes: Mapping[str, Float] | None = None) -> Mixture:
    """Choose and weigh the parts, `lstm` first: float[N, C] each of the validation rows, label_ids: int[N].

    bayes: what may be added to some parts, with a common factor.
    """
    rows = np.unique(np.linspace(0, len(label_ids) - 1, min(len(label_ids), MOST_ROWS)).astype(int))
    parts, label_ids = {name: part[rows] for name, part in parts.items()}, label_ids[rows]
    if bayes:
        added = {factor: add_bayes(parts, {name: bayes[name][rows] for name in bayes}, factor) for factor in BAYES}
        factor = min(BAYES, key=lambda factor: _cross_fitted_loss([*added[factor].values()], label_ids))
        return replace(fit_mixture(added[factor], label_ids), bayes=factor)
    others = [name for name in parts if name != LSTM]
    tried = [(LSTM, *chosen) for size in range(len(others) + 1) for chosen in combinations(others, size)]
    losses = {names: _cross_fitted_loss([parts[name] for name in names], label_ids) for names in tried}
    best = min(tried, key=lambda names: losses[names])  # Of equal ones, the one with the fewest parts.
    weights = dict(zip(best, fit_weights([parts[name] for name in best], label_ids), strict=True))
    spread = {name: weights[name] * float(parts[name].std()) for name in best}
    return Mixture(
        weights={name: float(f"{weights[name]:.6g}") for name in best if len(best) > 1},
        shares={name: spread[name] / (sum(spread.values()) or 1.0) for name in best},
        log_losses={" + ".join(names): loss for names, loss in losses.items()},
    )


def add_bayes(parts: Mapping[str, Float], bayes: Mapping[str, Float], factor: float) -> dict[str, Float]:
    """Return the parts with naive Bayes' margins, times the factor, added to those that have any."""
    return {name: part + np.float32(factor) * bayes[name] if name in bayes else part for name, part in parts.items()}


def _cross_fitted_loss(parts: Sequence[Float], label_ids: Int) -> float:
    """Return the mean log loss of rows that the weights were not fitted on."""
    folds = np.arange(len(label_ids)) % min(FOLDS, len(label_ids))
    mixed = np.zeros(parts[0].shape)
    for fold in np.unique(folds):
        inside = folds == fold
        weights = fit_weights([part[~inside] for part in parts], label_ids[~inside])
        mixed[inside] = sum(weight * part[inside] for weight, part in zip(weights, parts, strict=True))
    return log_loss_at(mixed, label_ids, np.ones(len(mixed)))


def fit_weights(parts: Sequence[Float], label_ids: Int) -> list[float]:
    """Return the weights that minimise the log loss, with labels smoothed as in `calibration.fit_temperature`."""
    if not len(label_ids):
        return [1.0] * len(parts)
    deviations = [float(part.std()) or 1.0 for part in parts]
    scaled = np.stack([part / deviation for part, deviation in zip(parts, deviations, strict=True)]).astype(np.float64)
    softness = 1 / (len(label_ids) + 2)
    target = np.full(scaled.shape[1:], softness / scaled.shape[2])
    target[np.arange(len(label_ids)), label_ids] += 1 - softness

    def loss(log_weights: Float64) -> tuple[float, Float64]:
        weights = np.exp(log_weights)
        log_probabilities = log_softmax(np.tensordot(weights, scaled, axes=1), axis=1)
        wrong = np.exp(log_probabilities) - target
        slope = weights * np.einsum("prc,rc->p", scaled, wrong) / len(label_ids)
        return -float((target * log_probabilities).sum()) / len(label_ids), slope

    bounds = [(LOWEST, HIGHEST)] * len(parts)
    with threadpool_limits(1, "blas"):  # Its matrices are small: two threads take 20 times as long.
        fitted = minimize(loss, np.zeros(len(parts)), jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(np.exp(log_weight)) / deviation for log_weight, deviation in zip(fitted.x, deviations, strict=True)]
