"""Held-out rows -> what later batches are compared with: stored with the version, not loaded by what serves it."""

from pathlib import Path
from typing import Any

from lstm_model.classifier.classifier import Classifier
from lstm_model.drift.profile import SUMMARY, ProfileBuilder, Reference
from tasks.runtime import tracking
from tasks.runtime.artifacts import Progress, markdown_table, publish_markdown
from tasks.runtime.stage_store import StageRecord, read_json, stage
from tasks.runtime.tracking import Run
from tasks.training.split_examples import read_split

PROGRESS_ROWS = 10_000


def _report(record: StageRecord, run: Run) -> None:
    summary = read_json(record.file(SUMMARY))
    tracking.log_file(run, record.file(SUMMARY), "reference")
    rows = [["rows", summary["rows"]], ["unknown tokens", f"{summary['unknown_rate']:.2%}"]]
    rows += [[f"labelled {label}", count] for label, count in summary["classes"].items()]
    publish_markdown("reference", markdown_table(["held-out rows", ""], rows), "What later batches are compared with")


@stage("reference", report=_report)
def describe_reference(
    folder: Path, classifier: StageRecord, examples: StageRecord, splits: StageRecord
) -> dict[str, Any]:
    """Profile the validation and test rows, which the weights were not fitted on; write reference.json and .npz."""
    served = Classifier.load(classifier.folder)
    builder = ProfileBuilder(served.labels, served.encoder)
    parts = {name: read_split(examples, splits, name) for name in ("validation", "test")}
    progress = Progress("reference", "profiling held-out rows", total=sum(map(len, parts.values())), unit="rows")
    done = test_right = 0
    for name, rows in parts.items():
        for first in range(0, len(rows), PROGRESS_ROWS):
            chunk = rows[first : first + PROGRESS_ROWS]
            probabilities = served.predict_probabilities(chunk["text"].tolist())
            builder.see_texts(chunk["text"].tolist(), first_row=done)
            builder.see_answers(probabilities)
            predicted = [served.labels[i] for i in probabilities.argmax(axis=1)]
            test_right += int((chunk["label"] == predicted).sum()) if name == "test" else 0
            done += len(chunk)
            progress.set(done)
    progress.close(f"profiled {done:,} held-out rows")
    Reference(builder.profile(), test_rows=len(parts["test"]), test_right=test_right).save(folder)
    return {"rows": done}
