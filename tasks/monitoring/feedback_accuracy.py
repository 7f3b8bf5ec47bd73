"""Compare answers with labels that came later: real accuracy over time."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from prefect import get_run_logger

from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from lstm_model.data.parts import digest_input
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.texts import listed
from lstm_model.drift.feedback import compare_accuracy
from lstm_model.drift.profile import Reference
from lstm_model.errors import ContentError
from tasks.monitoring.batch_drift import AnsweredBatch
from tasks.monitoring.drift_history import Series
from tasks.monitoring.drift_outcome import DriftOutcome, record
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import retried_task


@dataclass
class Feedback:
    """The true label of each id; see() counts which answers were right."""

    path: Path
    digest: str
    labels: dict[str, str]
    rows: int = 0
    right: int = 0
    unknown: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, *, dialect: Dialect = Dialect()) -> "Feedback":
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
        given = set(self.labels.values())
        self.unknown = given - set(labels)
        if not self.rows:
            raise ContentError(
                f"No answered row of {answered} has an id of {self.path} "
                f"({len(self.labels):,} ids, such as {next(iter(self.labels))!r}).",
                "Name the column with the ids (--id-column), or pass the feedback for this file.",
            )
        if self.unknown == given:
            shown, known = (", ".join(map(repr, some[:8])) for some in (sorted(given), labels))
            raise ContentError(
                f"{self.path} has no label that the model knows: its labels are {shown}, the model's are {known}.",
                "Use the label names that the model was trained on.",
            )


@retried_task(name="compare-feedback")
def compare_feedback(
    feedback: Feedback, batch: AnsweredBatch, reference: Reference, series: Series, config: DriftConfig
) -> DriftOutcome:
    """Compare the real accuracy of a batch with accuracy on test rows and log it."""
    real = compare_accuracy(
        right=feedback.right,
        rows=feedback.rows,
        test_right=reference.test_right,
        test_rows=reference.test_rows,
        config=config,
    )
    low, high = real.interval
    metrics = {"rows": real.rows, "accuracy": real.accuracy, "accuracy_low": low, "accuracy_high": high}
    metrics["test_accuracy"] = real.test_accuracy
    outcome = record(
        series, "feedback", asdict(real), config,
        path=batch.path, digests={"input_digest": batch.digest, "feedback_digest": feedback.digest},
        metrics=metrics, shares={}, tags={"feedback": str(feedback.path)},
    )  # fmt: skip
    if feedback.unknown:
        names = ", ".join(sorted(feedback.unknown)[:8])
        get_run_logger().warning("Labels that the model does not know count as wrong answers: %s", names)
    table = markdown_table(["", "real", "test rows"], [["accuracy", real.accuracy, real.test_accuracy]])
    publish_markdown("feedback", f"**{real.verdict}**: {real.text}\n\n{table}", "Share of right answers")
    return outcome
