"""What is said of a classifier's answers to the test rows: figures, how far to trust them, and what else would get."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_model.classifier.answers import probability_columns
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.evaluation.baseline import NAME as BASELINE
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import classification_metrics, guessing_macro_f1, ids_of, label_metrics
from lstm_model.evaluation.slices import length_buckets, slice_figures, unknown_buckets, value_buckets

Int = npt.NDArray[np.integer[Any]]


def resampling_of(config: EvaluationConfig) -> Resampling:
    """Return how the config has intervals made."""
    return Resampling(rounds=config.bootstrap_rounds, seed=config.bootstrap_seed, confidence=config.confidence)


def judge_answers(answers: pd.DataFrame, *, labels: Sequence[str], config: EvaluationConfig) -> dict[str, Any]:
    """Return candidate, intervals, guessing and baseline as JSON values; baseline is None where it has not answered.

    answers: label, predicted, a probability column per label and, if there is a baseline, baseline_predicted. The
    difference to the baseline is resampled in pairs: both answer the rows that were drawn.
    """
    label_ids = ids_of(answers["label"], labels)
    predictions = {"candidate": ids_of(answers["predicted"], labels)}
    if "baseline_predicted" in answers:
        predictions["baseline"] = ids_of(answers["baseline_predicted"], labels)
    drawn = bootstrap(
        label_ids=label_ids, predictions=predictions, num_classes=len(labels), resampling=resampling_of(config)
    )
    ours = drawn["candidate"]
    candidate = classification_metrics(
        label_ids=label_ids,
        probabilities=answers[probability_columns(labels)].to_numpy(),
        labels=labels,
        calibration_bins=config.calibration_bins,
    )
    intervals = {
        "confidence": config.confidence,
        "accuracy": list(interval(ours["accuracy"], config.confidence)),
        "macro_f1": list(interval(ours["macro_f1"], config.confidence)),
        "f1": {label: list(interval(ours["f1"][:, i], config.confidence)) for i, label in enumerate(labels)},
    }
    judged = {
        "candidate": candidate,
        "intervals": intervals,
        "guessing": {"macro_f1": guessing_macro_f1(len(labels))},
        "baseline": None,
    }
    if "baseline" in predictions:
        figures = label_metrics(label_ids=label_ids, predicted_ids=predictions["baseline"], labels=labels)
        difference = {
            "macro_f1": candidate["macro_f1"] - figures["macro_f1"],
            "interval": list(interval(ours["macro_f1"] - drawn["baseline"]["macro_f1"], config.confidence)),
        }
        judged["baseline"] = {"name": BASELINE, **figures, "difference": difference}
    return judged


def judge_slices(answers: pd.DataFrame, *, labels: Sequence[str], config: EvaluationConfig) -> list[dict[str, Any]]:
    """Return the figures of each bucket of rows, by length, by unknown words, and by the slice column if there is one.

    answers: tokens, unknown_rate, label, predicted, and slice with evaluation.slice_column, a row each.
    """
    slices = [
        ("length", length_buckets(answers["tokens"].to_numpy())),
        ("unknown words", unknown_buckets(answers["unknown_rate"].to_numpy())),
    ]
    if config.slice_column is not None:
        slices.append((config.slice_column, value_buckets(answers["slice"].tolist())))
    return slice_figures(
        slices,
        label_ids=ids_of(answers["label"], labels),
        predicted_ids=ids_of(answers["predicted"], labels),
        num_classes=len(labels),
        resampling=resampling_of(config),
    )
