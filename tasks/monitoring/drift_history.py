"""Past comparisons, as runs in the MLflow experiment lstm-text-monitoring, shared by everyone who scores.

    series     one run per model version; a metric has a step per batch, so MLflow draws it over time
    batch      one run per compared input, below the series: metrics, report.html, drifted yes | no | not judged
    feedback   one run per input with labels that came later, also below the series

An event is claimed as a param of the series, `event_1`, `event_2`, ...: MLflow refuses a second value for a param, so
only one of two batches that finish at once can claim it. There is no state elsewhere.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis
from prefect.runtime import flow_run

from lstm_model.digests import digest_text
from lstm_model.pages.drift_page import render_drift
from tasks.runtime.locks import local_lock
from tasks.runtime.retries import mlflow_client
from tasks.runtime.tracking import ensure_experiment

Kind = Literal["batch", "feedback"]
DRIFTED = {"drifted": "yes", "stable": "no", "not judged": "not judged"}
NEWEST = 50


@dataclass(frozen=True)
class Entry:
    """One compared input."""

    run_id: str
    number: int
    input_digest: str
    drifted: str
    time: datetime
    name: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Event:
    """A claimed event. sent: Prefect's server has it."""

    key: str
    time: datetime
    sent: bool
    payload: dict[str, Any]


@dataclass(frozen=True)
class Series:
    """The comparisons of one model version."""

    experiment_id: str
    run_id: str
    model_name: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.model_name} version {self.version}"

    @classmethod
    def open(cls, experiment_name: str, model_name: str, version: str) -> "Series":
        """Return the series of a version; create its run if there is none."""
        series = cls(ensure_experiment(experiment_name), "", model_name, version).reread()
        if series.run_id:
            return series
        with local_lock(f"series-{digest_text(f'{series.experiment_id}/{model_name}/{version}')[:16]}"):
            if not series.reread().run_id:  # No other process of this machine has created it.
                run = mlflow_client().create_run(
                    series.experiment_id, run_name=series.name, tags=series._tags("series")
                )
                mlflow_client().set_terminated(run.info.run_id)  # It has no end; metrics are added all the same.
        return series.reread()

    def reread(self) -> "Series":
        """Return the series that counts by now: two machines may have created its run at once, and the first counts."""
        runs = mlflow_client().search_runs([self.experiment_id], self._filter("series"))
        first = min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)
        return replace(self, run_id=first.info.run_id) if first else self

    def entries(self, kind: Kind, **tags: str) -> list[Entry]:
        """Return the newest entries of a kind with these tags, newest first."""
        wanted, order = self._filter(kind, **tags), ["attributes.start_time DESC"]
        runs = mlflow_client().search_runs([self.experiment_id], wanted, max_results=NEWEST, order_by=order)
        return [_entry(run) for run in runs]

    def add(
        self, kind: Kind, content: dict[str, Any], *, path: Path, metrics: dict[str, float], tags: dict[str, str]
    ) -> Entry:
        """Log a comparison of an input: its report as a page and as JSON, its metrics, and a step of the series.

        The first request contains the verdict: it counts for the event even if the process dies right after.
        """
        number = max((entry.number for entry in self.entries(kind)), default=0) + 1
        client = mlflow_client()
        run = client.create_run(
            self.experiment_id,
            run_name=f"{kind} {number}: {path.name}",
            tags={
                **self._tags(kind),
                "drifted": DRIFTED[content["verdict"]],
                "number": str(number),
                "input": str(path),
                "prefect.flow_run_id": flow_run.id,
                "prefect.flow_run_name": flow_run.name,
                "mlflow.parentRunId": self.run_id,
                "mlflow.note.content": content["text"],
                **tags,
            },
        )
        entry, now = _entry(run), get_current_time_millis()
        client.log_batch(entry.run_id, metrics=[Metric(key, value, now, 0) for key, value in metrics.items()])
        # Limits rarely change: only the entry has them.
        drawn = [Metric(f"{kind}/{key}", metrics[key], now, number) for key in metrics if not key.endswith("_limit")]
        newest = RunTag(f"newest_{kind}", f"{number}: {content['verdict']}")
        client.log_batch(self.run_id, metrics=drawn, tags=[newest])
        client.log_dict(entry.run_id, content, f"{kind}.json")
        facts = {"model_name": self.model_name, "version": self.version, "path": str(path), "number": number}
        facts["time"] = entry.time.isoformat()
        page = render_drift(content, facts, self.entries(kind))
        client.log_text(entry.run_id, page, "report.html")
        client.set_terminated(entry.run_id)
        return entry

    def events(self) -> list[Event]:
        """Return the claimed events, oldest first."""
        data = mlflow_client().get_run(self.run_id).data
        claims = {key: json.loads(value) for key, value in data.params.items() if key.startswith("event_")}
        return [
            Event(key, datetime.fromisoformat(claims[key]["time"]), f"{key}.sent" in data.tags, claims[key]["payload"])
            for key in sorted(claims, key=lambda key: int(key.removeprefix("event_")))
        ]

    def claim(self, payload: dict[str, Any], *, number: int, by: str) -> Event | None:
        """Return the event with that number if the caller has claimed it; None if another process was first."""
        key, now = f"event_{number}", datetime.now(UTC)
        value = json.dumps({"time": now.isoformat(timespec="seconds"), "by": by, "payload": payload})
        try:
            mlflow_client().log_batch(self.run_id, params=[Param(key, value)])
        except MlflowException:
            if key not in mlflow_client().get_run(self.run_id).data.params:
                raise
        mine = mlflow_client().get_run(self.run_id).data.params.get(key) == value
        return Event(key, now, False, payload) if mine else None

    def mark_sent(self, event: Event) -> None:
        """Record that Prefect's server has the event."""
        mlflow_client().set_tag(self.run_id, f"{event.key}.sent", datetime.now(UTC).isoformat(timespec="seconds"))

    def _tags(self, kind: str) -> dict[str, str]:
        return {"kind": kind, "model_name": self.model_name, "model_version": self.version}

    def _filter(self, kind: str, **tags: str) -> str:
        return " and ".join(f"tags.{key} = '{value}'" for key, value in (self._tags(kind) | tags).items())


def _entry(run: Run) -> Entry:
    tags = run.data.tags
    return Entry(
        run_id=run.info.run_id,
        number=int(tags["number"]),
        input_digest=tags["input_digest"],
        drifted=tags["drifted"],
        time=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        name=run.info.run_name or "",
        metrics=dict(run.data.metrics),
    )
