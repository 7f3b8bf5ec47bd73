"""Evaluates a classifier's answers to the test rows: metrics, their intervals, guessing, the baseline and slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.classifier.answers import probability_columns
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import classification_metrics, ids_of, label_metrics
from lstm_model.evaluation.slices import length_buckets, slice_metrics, unknown_buckets, value_buckets
from lstm_model.tokens.tokenizer import hardly_read


def resampling_of(config: EvaluationConfig) -> Resampling:
    """Return the config's settings for intervals."""
    return Resampling(rounds=config.bootstrap_rounds, seed=config.bootstrap_seed, confidence=config.confidence)


def evaluate_answers(answers: pd.DataFrame, *, labels: Sequence[str], config: EvaluationConfig) -> dict[str, Any]:
    """Return candidate, intervals, guessing and baseline (or None) as JSON values, as in `record.Evaluation`.

    answers: label, predicted, a probability column per label and, if there is a baseline, baseline_predicted.
    """
    label_ids = ids_of(answers["label"], labels)
    columns = {"candidate": "predicted", "baseline": "baseline_predicted"}
    predictions = {name: ids_of(answers[column], labels) for name, column in columns.items() if column in answers}
    resampling, sure = resampling_of(config), config.confidence
    drawn = bootstrap(label_ids=label_ids, predictions=predictions, num_classes=len(labels), resampling=resampling)
    ours = drawn["candidate"]
    candidate = classification_metrics(
        label_ids=label_ids,
        probabilities=answers[probability_columns(labels)].to_numpy(),
        labels=labels,
        calibration_bins=config.calibration_bins,
    )
    intervals = {
        "confidence": sure,
        "accuracy": list(interval(ours["accuracy"], sure)),
        "macro_f1": list(interval(ours["macro_f1"], sure)),
        "f1": {label: list(interval(ours["f1"][:, i], sure)) for i, label in enumerate(labels)},
    }
    baseline = None
    if "baseline" in predictions:
        metrics = label_metrics(label_ids=label_ids, predicted_ids=predictions["baseline"], labels=labels)
        difference = {
            "macro_f1": candidate["macro_f1"] - metrics["macro_f1"],
            "interval": list(interval(ours["macro_f1"] - drawn["baseline"]["macro_f1"], sure)),
        }
        baseline = {"name": "baseline", **metrics, "difference": difference}
    # With labels drawn in proportion to their share p, precision and recall are p, and p sums to 1. Always naming the
    # most frequent label scores less: 2p / (1 + p) for one, 0 for others.
    guessing = {"macro_f1": 1 / len(labels)}
    return {"candidate": candidate, "intervals": intervals, "guessing": guessing, "baseline": baseline}


def evaluate_coverage(answers: pd.DataFrame) -> dict[str, float]:
    """Return unknown_rate and hardly_read, as in `record.Coverage`. answers: text, tokens and unknown_rate."""
    tokens, unknown = answers["tokens"].to_numpy(), answers["unknown_rate"].to_numpy()
    return {
        "unknown_rate": float(np.average(unknown, weights=tokens)),
        "hardly_read": float(hardly_read(answers["text"].tolist(), tokens, unknown).mean()),
    }


def evaluate_slices(answers: pd.DataFrame, *, labels: Sequence[str], config: EvaluationConfig) -> list[dict[str, Any]]:
    """Return metrics by bucket. answers: tokens, unknown_rate, label, predicted; slice with evaluation.slice_column."""
    slices = [
        ("length", length_buckets(answers["tokens"].to_numpy())),
        ("unknown words", unknown_buckets(answers["unknown_rate"].to_numpy())),
    ]
    if config.slice_column is not None:
        slices.append((config.slice_column, value_buckets(answers["slice"].tolist())))
    return slice_metrics(
        slices,
        label_ids=ids_of(answers["label"], labels),
        predicted_ids=ids_of(answers["predicted"], labels),
        num_classes=len(labels),
        resampling=resampling_of(config),
    )
