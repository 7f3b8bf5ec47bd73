"""The result of a comparison: logged to MLflow, linked from the flow run's page, in one line and as JSON."""

import logging
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from pydantic import BaseModel

from lstm_model.config.drift import DriftConfig
from tasks.monitoring.drift_event import send_if_sustained
from tasks.monitoring.drift_history import Kind, Series
from tasks.runtime.tracking import mlflow_ui


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
    entry = known[0] if known else series.add(kind, content, path=path, metrics=metrics | shares, tags=digests | tags)
    what = "input" if kind == "batch" else kind
    again = f" The same {what} was compared before, as {kind} {entry.number}: it is not logged again." if known else ""
    url = f"{mlflow_ui()}/#/experiments/{series.experiment_id}/runs/{entry.run_id}"
    outcome = DriftOutcome(
        verdict=content["verdict"], text=content["text"] + again, model_name=series.model_name, version=series.version,
        kind=kind, number=entry.number, figures=metrics, event=send_if_sustained(series, kind, config),
        run_id=entry.run_id, run_url=url,
    )  # fmt: skip
    level = logging.INFO if outcome.verdict == "stable" and not outcome.event else logging.WARNING
    get_run_logger().log(level, "%s", outcome.line, extra={"is_result": True})
    create_link_artifact(
        link=url,
        link_text=f"{kind} {entry.number} of {series.name}",
        key=f"{kind}-in-mlflow",
        description="Report and metrics; the parent run draws them over time",
    )
    return outcome
