"""Metrics summed up in one sentence each, for the report and the model card."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lstm_model.evaluation.record import SMALL_SHARE, CalibrationEffect, Coverage, Evaluation, Slice
from lstm_model.pages.html import gain_text, interval_text, metric_text, sure_text
from lstm_model.tokens.tokenizer import MOST_HARDLY_READ

Tone = Literal["good", "warn", "bad", "plain"]
SHOWN_CONFUSIONS = 10


@dataclass(frozen=True)
class Finding:
    """A sentence and its tone."""

    tone: Tone
    text: str


def against_baseline(evaluation: Evaluation) -> Finding | None:
    """Say whether the network is better than the linear baseline, beyond chance; None without a baseline."""
    baseline = evaluation.baseline
    if baseline is None:
        return None
    difference, (low, high) = baseline.difference.macro_f1, baseline.difference.interval
    metrics = (
        f"macro-F1 {metric_text(evaluation.candidate.macro_f1)} against {metric_text(baseline.macro_f1)}, difference "
        f"{gain_text(difference)} ({sure_text(evaluation.intervals.confidence)} interval {interval_text((low, high))})."
    )
    name = baseline.name
    if low > 0:
        return Finding("good", f"The classifier beats the baseline, {name}, beyond chance: {metrics}")
    if high < 0:
        loss = f"The classifier loses to the baseline, {name}, beyond chance: {metrics}"
        return Finding("bad", f"{loss} The simpler model is better here.")
    if difference > 0:
        return Finding("warn", f"The classifier is ahead of the baseline, {name}, but not beyond chance: {metrics}")
    return Finding("warn", f"The classifier does not beat the baseline, {name}; chance can explain it: {metrics}")


def of_parts(evaluation: Evaluation) -> Finding | None:
    """Say how the answer is mixed from LSTM and n-grams, and what each reaches alone; None if nothing is mixed."""
    if "ngrams" not in evaluation.parts:
        return None
    lstm, ngrams = evaluation.parts["lstm"], evaluation.parts["ngrams"]
    text = (
        f"The answer is {lstm.share:.0%} LSTM (macro-F1 alone {metric_text(lstm.macro_f1)}) and {ngrams.share:.0%} "
        f"n-grams ({metric_text(ngrams.macro_f1)} alone), with weights fitted on validation rows."
    )
    if lstm.share < SMALL_SHARE:
        return Finding("warn", f"{text} The LSTM decides next to nothing here.")
    return Finding("plain", text)


def of_coverage(coverage: Coverage | None) -> Finding | None:
    """Warn where the tokenizer reads most texts hardly at all."""
    if coverage is None or coverage.hardly_read <= MOST_HARDLY_READ:
        return None
    return Finding(
        "warn",
        f"The network hardly reads the texts: {coverage.hardly_read:.0%} of the test rows are mostly unknown words or "
        f"one long word ({coverage.unknown_rate:.0%} of all words are unknown). Larger tokenization.vocab_size, "
        "tokenization.kind bpe or more train rows can help.",
    )


def of_calibration(calibration: CalibrationEffect | None) -> Finding | None:
    """Say what temperature scaling did; None where it was not tried."""
    if calibration is None:
        return None
    loss, error = calibration.validation_log_loss, calibration.test_calibration_error
    losses = f"validation log loss {metric_text(loss.before)} before, {metric_text(loss.after)} after"
    if calibration.kept:
        text = (
            f"Scores are scaled with temperature {metric_text(calibration.temperature)} ({losses}; calibration error "
            f"on test rows {metric_text(error.before)} before, {metric_text(error.after)} after)."
        )
    elif loss.before == loss.after:  # As with export.calibrate off.
        text = "Scores are the network's own: no temperature was fitted."
    else:
        text = f"Scores are the network's own: a temperature does not help ({losses})."
    return Finding("plain", text)


def weak_slices(evaluation: Evaluation) -> list[Slice]:
    """Return the slices whose accuracy interval lies below the accuracy on all test rows, the weakest first."""
    weak = [part for part in evaluation.slices if part.accuracy_interval[1] < evaluation.candidate.accuracy]
    return sorted(weak, key=lambda part: part.accuracy)


def confusions(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the most frequent mistakes: label, predicted, rows, and the share of the label's rows."""
    pairs: list[dict[str, Any]] = [
        {"label": labels[i], "predicted": labels[j], "rows": count, "share": count / sum(row)}
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair["rows"])[:SHOWN_CONFUSIONS]
