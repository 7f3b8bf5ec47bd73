"""Labels that came later beside the answers: real accuracy over time, and perhaps an event."""

from dataclasses import dataclass, field
from pathlib import Path

from prefect import get_run_logger

from lstm_model.config.data import Quoting
from lstm_model.config.drift import DriftConfig
from lstm_model.data.reading import Reading, read_chunks, read_columns
from lstm_model.drift.feedback import judge_accuracy
from lstm_model.drift.profile import Reference
from lstm_model.errors import ContentError
from tasks.monitoring.drift_history import Series
from tasks.monitoring.drift_outcome import DriftOutcome, conclude, write_entry
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import retried_task


@dataclass
class Feedback:
    """The true label of each id; see() counts which of the answers were right."""

    path: Path
    digest: str
    labels: dict[str, str]
    rows: int = 0
    right: int = 0
    unlike: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, *, quoting: Quoting = "auto") -> "Feedback":
        """Read a file with the columns id and label; rows without a label are passed over.

        Raises ContentError where a column is missing, an id has two labels, or no row has a label.
        """
        columns = read_columns(path, quoting=quoting)
        if not {"id", "label"} <= set(columns):
            found = ", ".join(map(repr, columns))
            raise ContentError(
                expected=f"the columns 'id' and 'label' in {path}", found=found, remedy="Rename the columns."
            )
        labels: dict[str, str] = {}
        reading = Reading()
        for chunk in read_chunks(path, {"id": "id", "label": "label"}, quoting=quoting, reading=reading):
            for row_id, label in zip(chunk["id"], chunk["label"], strict=True):
                if row_id and label and labels.setdefault(row_id, label) != label:
                    raise ContentError(
                        expected=f"one label for each id in {path}",
                        found=f"{labels[row_id]!r} and {label!r} for id {row_id!r}",
                        remedy="Keep the right one.",
                    )
        if not labels:
            raise ContentError(
                expected=f"rows with an id and a label in {path}", found="none", remedy="Check the export."
            )
        return cls(path, reading.sha256, labels)

    def see(self, ids: list[str], predicted: list[str]) -> None:
        """Count the answers whose id has feedback."""
        for row_id, label in zip(ids, predicted, strict=True):
            true = self.labels.get(row_id)
            if true is not None:
                self.rows += 1
                self.right += true == label

    def check(self, labels: list[str], answered: Path) -> None:
        """Raise ContentError where no answer has feedback, or no label of it is one that the model knows."""
        known = set(labels)
        self.unlike = {label for label in self.labels.values() if label not in known}
        if not self.rows:
            raise ContentError(
                expected=f"ids of {answered} in {self.path}",
                found=f"{len(self.labels):,} ids, such as {next(iter(self.labels))!r}, and none that was answered",
                remedy="Name the column with the ids (--id-column), or give the feedback on this file.",
            )
        if self.unlike and self.unlike == set(self.labels.values()):
            raise ContentError(
                expected=f"labels of the model ({', '.join(map(repr, labels[:8]))}) in {self.path}",
                found=", ".join(map(repr, sorted(self.unlike)[:8])),
                remedy="Give the labels by the names that the model was trained on.",
            )


@retried_task(name="compare-feedback")
def compare_feedback(
    feedback: Feedback, reference: Reference, series: Series, config: DriftConfig, *, path: Path, digest: str
) -> DriftOutcome:
    """Compare the real accuracy with that on test rows and write it down. path, digest: of the input answered."""
    found = judge_accuracy(
        right=feedback.right,
        rows=feedback.rows,
        test_right=reference.test_right,
        test_rows=reference.test_rows,
        config=config,
    )
    low, high = found.interval
    figures = {"rows": found.rows, "accuracy": found.accuracy, "accuracy_low": low, "accuracy_high": high}
    figures["test_accuracy"] = found.test_accuracy
    tags = {"input_digest": digest, "feedback_digest": feedback.digest, "feedback": str(feedback.path)}
    known = series.entries("feedback", input_digest=digest, feedback_digest=feedback.digest)
    entry = known[0] if known else write_entry(
        series, "feedback", found.to_json(), path, figures=figures, tags=tags
    )  # fmt: skip
    if feedback.unlike:
        names = ", ".join(sorted(feedback.unlike)[:8])
        get_run_logger().warning("Labels that the model does not know count as wrong answers: %s", names)
    table = markdown_table(["", "real", "test rows"], [["accuracy", found.accuracy, found.test_accuracy]])
    publish_markdown("feedback", f"**{found.verdict}**: {found.text}\n\n{table}", "How often the answers were right")
    again = f" The same feedback was compared before, as feedback {entry.number}: it is not logged again."
    text = found.text + (again if known else "")
    return conclude(series, entry, "feedback", config, verdict=found.verdict, text=text, figures=figures)
