"""What figures come to, in a sentence each: the report and the model card say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lstm_model.evaluation.record import CalibrationEffect, Evaluation, Slice
from lstm_model.pages.html import figure_text, gain_text, interval_text, sure_text

Tone = Literal["good", "warn", "bad", "plain"]
HEADINGS: dict[str, tuple[Tone, str]] = {
    "promoted": ("good", "Became champion"),
    "rejected": ("bad", "Not promoted"),
    "unchanged": ("plain", "Nothing changed"),
    "forced": ("warn", "Promoted by force"),
    "rolled_back": ("warn", "Rolled back to"),
}


@dataclass(frozen=True)
class Finding:
    """A sentence and how it is meant."""

    tone: Tone
    text: str


def decision_heading(decision: Mapping[str, Any]) -> Finding:
    """Return the decision in two or three words."""
    return Finding(*HEADINGS[decision["kind"]])


def against_baseline(evaluation: Evaluation) -> Finding | None:
    """Say whether the network is worth more than the linear baseline, beyond chance; None without a baseline."""
    baseline = evaluation.baseline
    if baseline is None:
        return None
    difference, (low, high) = baseline.difference.macro_f1, baseline.difference.interval
    ours, theirs = figure_text(evaluation.candidate.macro_f1), figure_text(baseline.macro_f1)
    figures = (
        f"macro-F1 {ours} against {theirs}, difference {gain_text(difference)} "
        f"({sure_text(evaluation.intervals.confidence)} interval {interval_text((low, high))})"
    )
    name = baseline.name
    if low > 0:
        return Finding("good", f"The network beats the baseline, {name}, beyond chance: {figures}.")
    if high < 0:
        return Finding(
            "bad",
            f"The network loses to the baseline, {name}, beyond chance: {figures}. The simpler model is better here.",
        )
    if difference > 0:
        return Finding("warn", f"The network is ahead of the baseline, {name}, but not beyond chance: {figures}.")
    return Finding("warn", f"The network does not beat the baseline, {name}; chance can explain it: {figures}.")


def of_calibration(calibration: CalibrationEffect | None) -> Finding | None:
    """Say what temperature scaling did; None where it was not tried."""
    if calibration is None:
        return None
    loss, error = calibration.validation_log_loss, calibration.test_calibration_error
    figures = f"validation log loss {figure_text(loss.before)} before, {figure_text(loss.after)} after"
    if not calibration.kept and loss.before == loss.after:  # As with export.calibrate off.
        return Finding("plain", "Scores are the network's own: no temperature was fitted.")
    if not calibration.kept:
        return Finding("plain", f"Scores are the network's own: a temperature does not help ({figures}).")
    return Finding(
        "plain",
        f"Scores are scaled with temperature {figure_text(calibration.temperature)} ({figures}; calibration error "
        f"on test rows {figure_text(error.before)} before, {figure_text(error.after)} after).",
    )


def weak_slices(evaluation: Evaluation) -> list[Slice]:
    """Return the slices whose interval of accuracy lies below the accuracy of all test rows, the weakest first."""
    overall = evaluation.candidate.accuracy
    weak = [part for part in evaluation.slices if part.accuracy_interval[1] < overall]
    return sorted(weak, key=lambda part: part.accuracy)


def confusions(matrix: Sequence[Sequence[int]], labels: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return the most frequent mistakes: label, predicted, rows, and the share of the label's rows."""
    pairs: list[dict[str, Any]] = [
        {"label": labels[i], "predicted": labels[j], "rows": count, "share": count / sum(row)}
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair["rows"])[:limit]
