"""Real accuracy, from labels that came later, compared with the accuracy on test rows."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scipy.stats import binomtest

from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from lstm_model.data.parts import digest_input
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.texts import listed
from lstm_model.errors import ContentError


@dataclass
class Feedback:
    """The true label of each id; see() counts which answers were right."""

    path: Path
    digest: str
    labels: dict[str, str]
    rows: int = 0
    right: int = 0

    @classmethod
    def read(cls, path: Path, dialect: Dialect) -> "Feedback":
        """Read a file with the columns id and label; skip rows without a label.

        Raises ContentError where a column is missing, an id has two labels, or no row has a label.
        """
        columns = read_columns(path, dialect=dialect, names=("id", "label"))
        if missing := {"id", "label"} - set(columns):
            problem = f"{path} has no column {listed(sorted(missing))} (found: {listed(columns)})."
            raise ContentError(problem, "Name the columns 'id' and 'label'.")
        labels: dict[str, str] = {}
        digest = digest_input(path)
        for chunk in read_chunks(path, {"id": "id", "label": "label"}, dialect=dialect):
            for row_id, label in zip(chunk["id"], chunk["label"], strict=True):
                if row_id and label and labels.setdefault(row_id, label) != label:
                    problem = f"{path} has two labels for id {row_id!r}: {labels[row_id]!r} and {label!r}."
                    raise ContentError(problem, "Keep the right one.")
        if not labels:
            raise ContentError(f"No row of {path} has an id and a label.", "Check the export.")
        return cls(path, digest, labels)

    def see(self, ids: list[str], predicted: list[str]) -> None:
        """Count the answers whose id has feedback."""
        for row_id, label in zip(ids, predicted, strict=True):
            if row_id in self.labels:
                self.rows += 1
                self.right += self.labels[row_id] == label

    def check(self, labels: list[str], answered: Path) -> None:
        """Raise ContentError where no answer has feedback, or the model knows none of its labels."""
        if not self.rows:
            raise ContentError(
                f"No answered row of {answered} has an id of {self.path} "
                f"({len(self.labels):,} ids, such as {next(iter(self.labels))!r}).",
                "Name the column with the ids (--id-column), or pass the feedback for this file.",
            )
        given = {*self.labels.values()}
        if given.isdisjoint(labels):
            shown, known = (", ".join(map(repr, some[:8])) for some in (sorted(given), labels))
            raise ContentError(
                f"{self.path} has no label that the model knows: its labels are {shown}, the model's are {known}.",
                "Use the label names that the model was trained on.",
            )


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
    interval = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def highest_difference(right: int, rows: int, other_right: int, other_rows: int) -> float:
    """Return the upper end of the interval of one share minus another (Newcombe 1998, method 10)."""
    share, other = right / rows, other_right / other_rows
    high, low = wilson_interval(right, rows)[1], wilson_interval(other_right, other_rows)[0]
    return share - other + math.sqrt((high - share) ** 2 + (other - low) ** 2)
