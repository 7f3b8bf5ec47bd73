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
        experiment_id = ensure_experiment(experiment_name)
        run_id = _first_run(experiment_id, model_name, version) or _create_run(experiment_id, model_name, version)
        return cls(experiment_id, run_id, model_name, version)

    def reread(self) -> "Series":
        """Return the series that counts by now: two machines may have created its run at once."""
        run_id = _first_run(self.experiment_id, self.model_name, self.version)
        return replace(self, run_id=run_id or self.run_id)

    def entries(self, kind: Kind, **tags: str) -> list[Entry]:
        """Return the newest entries of a kind with these tags, newest first."""
        wanted = _filter(kind, self.model_name, self.version, **tags)
        order = ["attributes.start_time DESC"]
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
                **_tags(kind, self.model_name, self.version),
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
        drawn = {key: value for key, value in metrics.items() if not key.endswith("_limit")}
        steps = [Metric(f"{kind}/{key}", value, now, number) for key, value in drawn.items()]
        newest = RunTag(f"newest_{kind}", f"{number}: {content['verdict']}")
        client.log_batch(self.run_id, metrics=steps, tags=[newest])
        client.log_dict(entry.run_id, content, f"{kind}.json")
        facts = {"model_name": self.model_name, "version": self.version, "path": str(path), "number": number}
        facts["time"] = entry.time.isoformat()
        page = render_drift(content, facts, [vars(other) for other in self.entries(kind)])
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


def _first_run(experiment_id: str, model_name: str, version: str) -> str | None:
    """Return the run of a version's series, the first if there are several; None if there is none."""
    runs = mlflow_client().search_runs([experiment_id], _filter("series", model_name, version))
    first = min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)
    return first and first.info.run_id


def _create_run(experiment_id: str, model_name: str, version: str) -> str:
    """Create the run of a series, unless another process of this machine has; other machines' runs may be first."""
    with local_lock(f"series-{digest_text(f'{experiment_id}/{model_name}/{version}')[:16]}"):
        run_id = _first_run(experiment_id, model_name, version)
        if run_id is None:
            tags = _tags("series", model_name, version)
            run = mlflow_client().create_run(experiment_id, run_name=f"{model_name} version {version}", tags=tags)
            run_id = run.info.run_id
            mlflow_client().set_terminated(run_id)  # A series has no end; metrics are added all the same.
    return _first_run(experiment_id, model_name, version) or run_id


def _tags(kind: str, model_name: str, version: str) -> dict[str, str]:
    return {"kind": kind, "model_name": model_name, "model_version": version}


def _filter(kind: str, model_name: str, version: str, **tags: str) -> str:
    wanted = _tags(kind, model_name, version) | tags
    return " and ".join(f"tags.{key} = '{value}'" for key, value in wanted.items())


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
