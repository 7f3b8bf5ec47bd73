"""Compare an answered batch with the version that answered it: its texts with the reference, its answers with feedback.

A comparison is logged to MLflow and linked from the flow run's page; a command prints it in one line and as JSON.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from pydantic import BaseModel

from lstm_model.classifier.classifier import Classifier
from lstm_model.config.drift import DriftConfig
from lstm_model.drift.feedback import Feedback, compare_accuracy
from lstm_model.drift.profile import Profile, Reference
from lstm_model.drift.statistics import DriftComparison, compare_profiles
from lstm_model.pages.drift_page import drift_markdown
from tasks.monitoring.drift_event import send_if_sustained
from tasks.monitoring.drift_history import Kind, Series
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import retried_task
from tasks.runtime.tracking import label_key, mlflow_ui

NO_REFERENCE = "has no training reference: it was registered before there were any"
SHOWN_LABELS = 50  # A chart of more shares is unreadable.


@dataclass(frozen=True)
class AnsweredBatch:
    """An answered input, with its profile and the version that answered it."""

    path: Path
    digest: str
    model: RegisteredClassifier
    classifier: Classifier
    profile: Profile


class DriftOutcome(BaseModel):
    """A comparison for `--json`. verdict: drifted, stable, not judged, no reference, or not compared."""

    verdict: str
    text: str
    model_name: str
    version: str
    kind: Kind = "batch"
    number: int | None = None
    figures: dict[str, float] = {}
    event: str | None = None
    run_id: str | None = None
    run_url: str | None = None

    @property
    def line(self) -> str:
        """The outcome in one line."""
        which = f" ({self.kind} {self.number} of {self.model_name} version {self.version})" if self.number else ""
        event = f" {self.event[0].upper()}{self.event[1:]}." if self.event else ""
        return f"{'accuracy' if self.kind == 'feedback' else 'drift'}: {self.verdict}{which}. {self.text}{event}"


@retried_task(name="compare-batch")
def compare_batch(batch: AnsweredBatch, config: DriftConfig) -> DriftOutcome:
    """Compare a batch with the reference of its version; log the result once per input.

    Raises ModelError for a damaged reference.
    """
    name, version = batch.model.name, batch.model.version
    reference = Reference.load(batch.model.folder)
    if reference is None:
        text = f"{name} version {version} {NO_REFERENCE}. Train again to get one."
        get_run_logger().warning("%s", text)
        return DriftOutcome(verdict="no reference", text=text, model_name=name, version=version)
    token_name = batch.classifier.tokenizer.id_to_token
    comparison = compare_profiles(reference.profile, batch.profile, config, token_name=token_name)
    content = comparison.to_json()
    outcome = _record(batch, content, _metrics(comparison, batch.profile), config)
    publish_markdown("drift", drift_markdown(content), "Are these texts like the rows that the model was evaluated on?")
    return outcome


def compare_scored(batch: AnsweredBatch | None, config: DriftConfig | None) -> DriftOutcome | None:
    """Compare a scored batch, if there is one. The answers stay valid when the comparison fails."""
    if batch is None or config is None:
        return None
    outcome = compare_batch(batch, config, return_state=True).result(raise_on_failure=False)
    if isinstance(outcome, DriftOutcome):
        return outcome
    text = f"{outcome} `lstm-text drift {batch.path}` compares the file without scoring it again."
    return DriftOutcome(verdict="not compared", text=text, model_name=batch.model.name, version=batch.model.version)


@retried_task(name="compare-feedback")
def compare_feedback(
    feedback: Feedback, batch: AnsweredBatch, reference: Reference, config: DriftConfig
) -> DriftOutcome:
    """Compare the real accuracy of a batch with accuracy on test rows and log it."""
    test_right, test_rows = reference.test_right, reference.test_rows
    real = compare_accuracy(
        right=feedback.right, rows=feedback.rows, test_right=test_right, test_rows=test_rows, config=config
    )
    low, high = real.interval
    metrics = {"rows": real.rows, "accuracy": real.accuracy, "accuracy_low": low, "accuracy_high": high}
    outcome = _record(batch, asdict(real), metrics | {"test_accuracy": real.test_accuracy}, config, feedback)
    if unknown := sorted({*feedback.labels.values()} - {*batch.classifier.labels}):
        names = ", ".join(unknown[:8])
        get_run_logger().warning("Labels that the model does not know count as wrong answers: %s", names)
    table = markdown_table(["", "real", "test rows"], [["accuracy", real.accuracy, real.test_accuracy]])
    publish_markdown("feedback", f"**{real.verdict}**: {real.text}\n\n{table}", "Share of right answers")
    return outcome


def _metrics(comparison: DriftComparison, profile: Profile) -> dict[str, float]:
    """Return what MLflow draws over time; `drifted` and the shares of labels only where there is a verdict."""
    metrics = {"rows": float(comparison.rows), "effective_rows": comparison.effective_rows}
    if not comparison.figures:
        return metrics
    for statistic in comparison.figures:
        metrics |= {statistic.name: statistic.value, f"{statistic.name}_limit": statistic.threshold}
    metrics["drifted"] = float(comparison.verdict == "drifted")
    if len(profile.labels) <= SHOWN_LABELS:
        shares = zip(profile.labels, profile.classes / profile.rows, strict=True)
        metrics |= {f"share/{label_key(label)}": float(share) for label, share in shares}
    return metrics


def _record(
    batch: AnsweredBatch,
    content: dict[str, Any],
    metrics: dict[str, float],
    config: DriftConfig,
    feedback: Feedback | None = None,
) -> DriftOutcome:
    """Log a comparison, send the event if it is due, link the entry from the flow run's page; return the outcome.

    content: the comparison as JSON. What was compared before is not logged again.
    """
    kind: Kind = "feedback" if feedback else "batch"
    digests, tags = {"input_digest": batch.digest}, {}
    if feedback:
        digests["feedback_digest"], tags["feedback"] = feedback.digest, str(feedback.path)
    series = Series.open(config.experiment_name, batch.model.name, batch.model.version)
    known = series.entries(kind, **digests)
    entry = known[0] if known else series.add(kind, content, path=batch.path, metrics=metrics, tags=digests | tags)
    what = "feedback" if feedback else "input"
    again = f" The same {what} was compared before, as {kind} {entry.number}: it is not logged again." if known else ""
    url = f"{mlflow_ui()}/#/experiments/{series.experiment_id}/runs/{entry.run_id}"
    outcome = DriftOutcome(
        verdict=content["verdict"], text=content["text"] + again, model_name=series.model_name, version=series.version,
        kind=kind, number=entry.number, event=send_if_sustained(series, kind, config), run_id=entry.run_id, run_url=url,
        figures={name: value for name, value in metrics.items() if not name.startswith("share/")},
    )  # fmt: skip
    level = logging.INFO if outcome.verdict == "stable" and not outcome.event else logging.WARNING
    get_run_logger().log(level, "%s", outcome.line, extra={"is_result": True})
    description = "Report and metrics; the parent run draws them over time"
    create_link_artifact(url, f"{kind} {entry.number} of {series.name}", f"{kind}-in-mlflow", description)
    return outcome
