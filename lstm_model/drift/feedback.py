"""Real accuracy, from labels that came later, compared with the accuracy on test rows."""

import math
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

from lstm_model.config.drift import DriftConfig

CONFIDENCE = 0.95


@dataclass(frozen=True)
class RealAccuracy:
    verdict: Literal["drifted", "stable", "not judged"]
    text: str
    rows: int  # Rows with feedback.
    right: int  # Rows with a right answer.
    accuracy: float
    interval: tuple[float, float]
    test_accuracy: float


def compare_accuracy(*, right: int, rows: int, test_right: int, test_rows: int, config: DriftConfig) -> RealAccuracy:
    """Compare real accuracy with test accuracy: drifted if lower by more than accuracy_margin, beyond chance (95 %)."""
    accuracy, test_accuracy = right / max(1, rows), test_right / max(1, test_rows)
    low, high = wilson_interval(right, rows)
    verdict: Literal["drifted", "stable", "not judged"] = "stable"
    limit = f"below the {test_accuracy:.1%} on test rows by more than {config.accuracy_margin:.1%}"
    if min(rows, test_rows) < config.min_rows:
        verdict = "not judged"
        kind, few = ("feedback", rows) if rows < config.min_rows else ("the version's test", test_rows)
        reason = f"; too few rows to compare: {kind} has {few:,}, at least {config.min_rows} are needed"
    elif highest_difference(right, rows, test_right, test_rows) < -config.accuracy_margin:
        verdict, reason = "drifted", f", {limit}, beyond chance"
    else:
        reason = f", not {limit}"
    text = f"{right:,} of {rows:,} answers were right: {accuracy:.1%} ({low:.1%} to {high:.1%}){reason}."
    return RealAccuracy(verdict, text, rows, right, accuracy, (low, high), test_accuracy)


def wilson_interval(right: int, rows: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927); 0 to 1 without rows."""
    if not rows:
        return 0.0, 1.0
    interval = binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def highest_difference(right: int, rows: int, other_right: int, other_rows: int) -> float:
    """Return the upper end of the interval of one share minus another (Newcombe 1998, method 10)."""
    share, other = right / rows, other_right / other_rows
    high, low = wilson_interval(right, rows)[1], wilson_interval(other_right, other_rows)[0]
    return share - other + math.sqrt((high - share) ** 2 + (other - low) ** 2)
