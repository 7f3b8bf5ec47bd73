"""The result of a comparison: logged to MLflow, linked from the flow run's page, in one line and as JSON."""

import logging
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel

from lstm_model.config.drift import DriftConfig
from lstm_model.pages.drift_page import render_drift
from tasks.monitoring.drift_event import send_if_sustained
from tasks.monitoring.drift_history import Entry, Kind, Series
from tasks.runtime.retries import mlflow_client


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


def record(
    series: Series,
    kind: Kind,
    content: dict[str, Any],
    config: DriftConfig,
    *,
    path: Path,
    digests: dict[str, str],
    metrics: dict[str, float],
    shares: dict[str, float],
    tags: dict[str, str],
) -> DriftOutcome:
    """Log a comparison, send the event if it is due, link the entry from the flow run's page; return the outcome.

    content: the comparison as JSON. digests: of the inputs; a comparison with the same digests is not logged again.
    shares: metrics to log that are no part of the outcome.
    """
    known = series.entries(kind, **digests)
    entry = known[0] if known else _write_entry(series, kind, content, path, metrics | shares, digests | tags)
    what = "input" if kind == "batch" else kind
    again = f" The same {what} was compared before, as {kind} {entry.number}: it is not logged again." if known else ""
    outcome = DriftOutcome(
        verdict=content["verdict"], text=content["text"] + again, model_name=series.model_name, version=series.version,
        kind=kind, number=entry.number, figures=metrics, event=send_if_sustained(series, kind, config),
        run_id=entry.run_id, run_url=series.url(entry.run_id),
    )  # fmt: skip
    level = logging.INFO if outcome.verdict == "stable" and not outcome.event else logging.WARNING
    get_run_logger().log(level, "%s", outcome.line, extra={"is_result": True})
    create_link_artifact(
        link=series.url(entry.run_id),
        link_text=f"{kind} {entry.number} of {series.name}",
        key=f"{kind}-in-mlflow",
        description="Report and metrics; the parent run draws them over time",
    )
    return outcome


def _write_entry(
    series: Series, kind: Kind, content: dict[str, Any], path: Path, metrics: dict[str, float], tags: dict[str, str]
) -> Entry:
    """Log an entry with its metrics, and its report as a page and as JSON."""
    origin = {"input": str(path), "prefect.flow_run_id": flow_run.id, "prefect.flow_run_name": flow_run.name}
    tags = {key: value for key, value in origin.items() if value} | tags
    entry = series.add(
        kind, name=path.name, verdict=content["verdict"], text=content["text"], metrics=metrics, tags=tags
    )
    facts = {"model_name": series.model_name, "version": series.version, "path": str(path)}
    facts |= {"number": entry.number, "time": entry.time.isoformat()}
    mlflow_client().log_dict(entry.run_id, content, f"{kind}.json")
    page = render_drift(content, facts, [vars(other) for other in series.entries(kind)])
    mlflow_client().log_text(entry.run_id, page, "report.html")
    mlflow_client().set_terminated(entry.run_id)
    return entry
