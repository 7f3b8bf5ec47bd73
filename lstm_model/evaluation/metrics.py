"""Metrics of predictions. These functions return numbers; tasks log them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn import metrics as sklearn_metrics

from lstm_model.arrays import Float, Float64, Int, Int64


def ids_of(names: Iterable[str], labels: Sequence[str]) -> Int64:
    """Return int64[N]: the place of each name in the C labels."""
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[name] for name in names], dtype=np.int64)


def log_loss(*, label_ids: Int, probabilities: Float) -> float:
    """Return the mean negative log-likelihood in nats. label_ids: int[N], probabilities: float[N, C]."""
    chosen = probabilities[np.arange(len(label_ids)), label_ids].astype(np.float64)
    return float(-np.log(np.clip(chosen, 1e-12, 1.0)).mean())


def macro_f1(*, label_ids: Int, predicted_ids: Int, num_classes: int) -> float:
    """Return the unweighted mean of `f1_scores`."""
    return float(f1_scores(label_ids=label_ids, predicted_ids=predicted_ids, num_classes=num_classes).mean())


def f1_scores(*, label_ids: Int, predicted_ids: Int, num_classes: int) -> Float64:
    """Return the F1 of each class: float64[C]; 0 for a class never predicted and never true."""
    ids = range(num_classes)
    return np.asarray(sklearn_metrics.f1_score(label_ids, predicted_ids, labels=ids, average=None, zero_division=0))


def label_metrics(*, label_ids: Int, predicted_ids: Int, labels: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, macro_f1 and f1 (by label) of predicted labels: int[N] in [0, C)."""
    f1 = f1_scores(label_ids=label_ids, predicted_ids=predicted_ids, num_classes=len(labels))
    return {
        "accuracy": float((label_ids == predicted_ids).mean()),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(labels, f1.tolist(), strict=True)),
    }


def reliability(*, label_ids: Int, probabilities: Float, bins: int) -> dict[str, list[float]]:
    """Return per bin of equal width: rows, mean confidence and accuracy of the predicted label; 0 in empty bins.

    Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == label_ids
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(places, minlength=bins)
    divisor = np.maximum(rows, 1)
    return {
        "rows": rows.astype(float).tolist(),
        "confidence": (np.bincount(places, weights=confidence, minlength=bins) / divisor).tolist(),
        "accuracy": (np.bincount(places, weights=correct, minlength=bins) / divisor).tolist(),
    }


def calibration_error(table: dict[str, list[float]]) -> float:
    """Return the expected calibration error: |confidence - accuracy| averaged over rows, from `reliability`."""
    rows, confidence, accuracy = (np.array(table[name]) for name in ("rows", "confidence", "accuracy"))
    return float((rows * np.abs(confidence - accuracy)).sum() / rows.sum())


def classification_metrics(
    *, label_ids: Int, probabilities: Float, labels: Sequence[str], calibration_bins: int
) -> dict[str, Any]:
    """Return all metrics of one evaluation, as `record.Metrics`.

    label_ids: int[N] in [0, C), probabilities: float[N, C], labels: C names. majority_accuracy is that of always
    predicting the most frequent label. A precision without predictions, or a recall without rows, is 0.
    """
    predicted_ids = probabilities.argmax(axis=1)
    ids = list(range(len(labels)))
    scores = sklearn_metrics.precision_recall_fscore_support(label_ids, predicted_ids, labels=ids, zero_division=0)
    rows = zip(labels, *(column.tolist() for column in scores), strict=True)
    table = reliability(label_ids=label_ids, probabilities=probabilities, bins=calibration_bins)
    return {
        "accuracy": float((predicted_ids == label_ids).mean()),
        "majority_accuracy": float(np.bincount(label_ids).max() / len(label_ids)),
        "macro_f1": float(scores[2].mean()),
        "log_loss": log_loss(label_ids=label_ids, probabilities=probabilities),
        "calibration_error": calibration_error(table),
        "rows": len(label_ids),
        "per_class": {
            label: {"precision": precision, "recall": recall, "f1": f1, "support": support}
            for label, precision, recall, f1, support in rows
        },
        "confusion_matrix": sklearn_metrics.confusion_matrix(label_ids, predicted_ids, labels=ids).tolist(),
        "reliability": table,
    }
