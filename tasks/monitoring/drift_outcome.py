"""What a comparison came to: written down in MLflow, linked on the flow run's page, told in one line and in JSON."""

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
    """What `--json` tells of a comparison. verdict: drifted, stable, not judged, no reference, or not compared."""

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


def write_entry(
    series: Series, kind: Kind, found: dict[str, Any], path: Path, *, figures: dict[str, float], tags: dict[str, str]
) -> Entry:
    """Write an entry with its figures, the report as a page and as JSON. found: a comparison as JSON."""
    origin = {"input": str(path), "prefect.flow_run_id": flow_run.id, "prefect.flow_run_name": flow_run.name}
    entry = series.add(
        kind,
        name=path.name,
        verdict=found["verdict"],
        text=found["text"],
        figures=figures,
        tags={**{key: value for key, value in origin.items() if value}, **tags},
    )
    facts = {
        "model_name": series.model_name,
        "version": series.version,
        "path": str(path),
        "number": entry.number,
        "time": entry.time.isoformat(),
    }
    mlflow_client().log_dict(entry.run_id, found, f"{kind}.json")
    page = render_drift(found, facts, [vars(other) for other in series.entries(kind)])
    mlflow_client().log_text(entry.run_id, page, "report.html")
    mlflow_client().set_terminated(entry.run_id)
    return entry


def conclude(
    series: Series, entry: Entry, kind: Kind, config: DriftConfig, *, verdict: str, text: str, figures: dict[str, float]
) -> DriftOutcome:
    """See to the event, link the entry on the flow run's page, and return what to tell."""
    outcome = DriftOutcome(
        verdict=verdict,
        text=text,
        model_name=series.model_name,
        version=series.version,
        kind=kind,
        number=entry.number,
        figures=figures,
        event=send_if_sustained(series, kind, config),
        run_id=entry.run_id,
        run_url=series.url(entry.run_id),
    )
    tell = get_run_logger().info if verdict == "stable" and not outcome.event else get_run_logger().warning
    tell("%s", outcome.line)
    create_link_artifact(
        link=series.url(entry.run_id),
        link_text=f"{kind} {entry.number} of {series.model_name} version {series.version}",
        key=f"{kind}-in-mlflow",
        description="Report and figures; the run above it draws them over time",
    )
    return outcome
