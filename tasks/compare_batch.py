"""A batch of answers beside the reference of the version that answered: report, figures over time, perhaps an event."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from pydantic import BaseModel

from lstm_model.classifier import Classifier
from lstm_model.config import DriftConfig
from lstm_model.drift import Comparison, compare
from lstm_model.drift_page import drift_markdown, render_drift
from lstm_model.feedback import RealAccuracy
from lstm_model.profile import Profile, Reference
from tasks.drift_event import send_if_sustained
from tasks.drift_history import Entry, Kind, Series
from tasks.publishing import publish_markdown
from tasks.stages import worth_a_retry

NO_REFERENCE = "the version has no training reference: it was registered before there was one; train again to have it"
SHOWN_LABELS = 50  # Shares of more labels are no chart.


@dataclass(frozen=True)
class AnsweredBatch:
    """An input that was answered: whose answers they are, where that classifier is, and the profile of the answers."""

    path: Path
    digest: str
    model_name: str
    version: str
    classifier: Classifier
    folder: Path
    profile: Profile


class DriftOutcome(BaseModel):
    """What `--json` tells of a comparison. verdict: drifted, stable, not judged, no reference, or not compared."""

    verdict: str
    text: str
    model_name: str
    version: str
    number: int | None = None
    figures: dict[str, float] = {}
    event: str | None = None
    run_id: str | None = None
    run_url: str | None = None

    @property
    def line(self) -> str:
        """The outcome in one line."""
        which = f" (batch {self.number} of {self.model_name} version {self.version})" if self.number else ""
        event = f" {self.event[0].upper()}{self.event[1:]}." if self.event else ""
        return f"drift: {self.verdict}{which}. {self.text}{event}"


@task(name="compare-batch", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=worth_a_retry)
def compare_batch(batch: AnsweredBatch, config: DriftConfig) -> DriftOutcome:
    """Compare a batch with the reference of its version and write down what came out, once for each input.

    Raises ModelError for a damaged reference.
    """
    reference = Reference.load(batch.folder)
    if reference is None:
        get_run_logger().warning("%s version %s: %s.", batch.model_name, batch.version, NO_REFERENCE)
        return DriftOutcome(
            verdict="no reference", text=f"{NO_REFERENCE}.", model_name=batch.model_name, version=batch.version
        )
    series = Series.open(config.experiment_name, batch.model_name, batch.version)
    known = series.entries("batch", input_digest=batch.digest)
    comparison = compare(
        reference.profile,
        batch.profile,
        config,
        token_name=lambda token: batch.classifier.tokenizer.id_to_token(token) or "",
    )
    entry = known[0] if known else _write(series, batch, comparison)
    publish_markdown("drift", drift_markdown(comparison.to_json()), "Is this batch like the rows that the model was judged on?")
    again = f" This input was compared before, as batch {entry.number}: nothing is logged again." if known else ""
    return outcome_of(series, "batch", entry, comparison.verdict, comparison.text + again, config, figures_of(comparison))


def outcome_of(
    series: Series,
    kind: Kind,
    entry: Entry,
    verdict: str,
    text: str,
    config: DriftConfig,
    figures: dict[str, float],
) -> DriftOutcome:
    """See to the event, link the entry on the flow run's page, and return what to tell."""
    event = send_if_sustained(series, kind, config)
    log = get_run_logger()
    (log.warning if verdict != "stable" or event else log.info)("%s: %s", verdict, f"{text} {event or ''}".strip())
    create_link_artifact(
        link=series.url(entry.run_id),
        link_text=f"{kind} {entry.number} of {series.model_name} version {series.version}",
        key=f"{kind}-in-mlflow",
        description="Report and figures; the run above it draws them over time",
    )
    return DriftOutcome(
        verdict=verdict,
        text=text,
        model_name=series.model_name,
        version=series.version,
        number=entry.number,
        figures=figures,
        event=event,
        run_id=entry.run_id,
        run_url=series.url(entry.run_id),
    )


def figures_of(comparison: Comparison) -> dict[str, float]:
    """Return what is drawn over time."""
    figures = {"rows": float(comparison.rows), "effective_rows": comparison.effective_rows}
    for figure in comparison.figures:
        figures |= {figure.name: figure.value, f"{figure.name}_limit": figure.threshold}
    if comparison.figures:
        figures["drifted"] = float(comparison.verdict == "drifted")
    return figures


def _write(series: Series, batch: AnsweredBatch, comparison: Comparison) -> Entry:
    figures, found = figures_of(comparison), comparison.to_json()
    from tasks.tracking import label_key

    if comparison.rows and len(batch.profile.labels) <= SHOWN_LABELS:
        shares = batch.profile.classes / comparison.rows
        figures |= {f"share/{label_key(label)}": float(share) for label, share in zip(batch.profile.labels, shares, strict=True)}
    entry = series.add(
        "batch",
        name=batch.path.name,
        input_digest=batch.digest,
        verdict=comparison.verdict,
        text=comparison.text,
        figures=figures,
        tags=origin(batch.path),
    )
    log_report(series, entry, "batch", found, batch.path)
    return entry


def log_report(series: Series, entry: Entry, kind: Kind, found: dict[str, Any], path: Path) -> None:
    """Log the report as a page and as JSON, and end the run."""
    client = MlflowClient()
    client.log_dict(entry.run_id, found, f"{kind}.json")
    facts = {
        "model_name": series.model_name,
        "version": series.version,
        "path": str(path),
        "number": entry.number,
        "time": entry.time.isoformat(),
    }
    page = render_drift(found, facts, [vars(other) for other in series.entries(kind)])
    client.log_text(entry.run_id, page, "report.html")
    client.set_terminated(entry.run_id)


def origin(path: Path) -> dict[str, str]:
    """Return the tags that say where an entry comes from."""
    tags = {"input": str(path), "prefect.flow_run_id": flow_run.id or "", "prefect.flow_run_name": flow_run.name or ""}
    return {key: value for key, value in tags.items() if value}
