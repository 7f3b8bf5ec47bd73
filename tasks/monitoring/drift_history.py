"""What was compared before: runs in the MLflow experiment lstm-text-monitoring, which all who score share.

    series     one run per model version; a figure's steps are batches, so that MLflow draws it over time
    batch      one run per input compared, below the series: figures, report.html, drifted yes | no | not judged
    feedback   one run per input with labels that came later, below the series too

An event is claimed as a param of the series, `event_1`, `event_2`, ...: MLflow refuses a second value for a param, so
of two batches that finish at once only one can claim it. State is nowhere else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from filelock import FileLock
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis

from lstm_model.digests import digest_text
from tasks.runtime import tracking
from tasks.runtime.retries import mlflow_client
from tasks.runtime.state.local_state import state_root
from tasks.runtime.tracking import ensure_experiment

Kind = Literal["batch", "feedback"]
DRIFTED = {"drifted": "yes", "stable": "no", "not judged": "not judged"}
NEWEST = 50


@dataclass(frozen=True)
class Entry:
    """One input that was compared."""

    run_id: str
    number: int
    input_digest: str
    drifted: str
    time: datetime
    name: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Event:
    """An event that was claimed; sent says that the server has it."""

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
        """Return the series of a version, making its run if need be."""
        experiment_id = ensure_experiment(experiment_name)
        return cls._first(experiment_id, model_name, version) or cls._make(experiment_id, model_name, version)

    @classmethod
    def _make(cls, experiment_id: str, model_name: str, version: str) -> "Series":
        """Make the run, unless another process of this machine has made it; of other machines' the first counts."""
        locks = state_root() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"series-{digest_text(f'{experiment_id}/{model_name}/{version}')[:16]}.lock"):
            series = cls._first(experiment_id, model_name, version)
            if series is None:
                tags = {"kind": "series", "model_name": model_name, "model_version": version}
                run = mlflow_client().create_run(experiment_id, run_name=f"{model_name} version {version}", tags=tags)
                mlflow_client().set_terminated(
                    run.info.run_id
                )  # It has no end of its own; figures are added all the same.
                series = cls(experiment_id, run.info.run_id, model_name, version)
        return series.again()

    def again(self) -> "Series":
        """Return the series as everybody sees it by now: two machines may have made its run at once."""
        return self._first(self.experiment_id, self.model_name, self.version) or self

    @classmethod
    def _first(cls, experiment_id: str, model_name: str, version: str) -> "Series | None":
        wanted = _filter(kind="series", model_name=model_name, model_version=version)
        runs = mlflow_client().search_runs([experiment_id], wanted)
        first = min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)
        return None if first is None else cls(experiment_id, first.info.run_id, model_name, version)

    def entries(self, kind: Kind, **tags: str) -> list[Entry]:
        """Return the newest entries of a kind, newest first; tags: only those that carry them."""
        wanted = _filter(kind=kind, model_name=self.model_name, model_version=self.version, **tags)
        order = ["attributes.start_time DESC"]
        return [
            _entry(run)
            for run in mlflow_client().search_runs([self.experiment_id], wanted, max_results=NEWEST, order_by=order)
        ]

    def add(
        self,
        kind: Kind,
        *,
        name: str,
        verdict: str,
        text: str,
        figures: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> Entry:
        """Write an entry with its figures, and the figures as the next step of the series.

        Its first write holds the verdict, so a process that dies later has not kept it from the rule.
        """
        number = max((entry.number for entry in self.entries(kind)), default=0) + 1
        known = {
            "kind": kind,
            "model_name": self.model_name,
            "model_version": self.version,
            "drifted": DRIFTED[verdict],
            "number": str(number),
            "mlflow.parentRunId": self.run_id,
            "mlflow.note.content": text,
            **tags,
        }
        run = mlflow_client().create_run(self.experiment_id, run_name=f"{kind} {number}: {name}", tags=known)
        now = get_current_time_millis()
        mlflow_client().log_batch(
            run.info.run_id, metrics=[Metric(key, value, now, 0) for key, value in figures.items()]
        )
        # Limits hardly move: they are with the entry.
        steps = [
            Metric(f"{kind}/{key}", value, now, number) for key, value in figures.items() if not key.endswith("_limit")
        ]
        mlflow_client().log_batch(self.run_id, metrics=steps, tags=[RunTag(f"newest_{kind}", f"{number}: {verdict}")])
        return _entry(run)

    def events(self) -> list[Event]:
        """Return the events that were claimed, oldest first."""
        data = mlflow_client().get_run(self.run_id).data
        claims = {key: json.loads(value) for key, value in data.params.items() if key.startswith("event_")}
        return [
            Event(key, datetime.fromisoformat(claims[key]["time"]), f"{key}.sent" in data.tags, claims[key]["payload"])
            for key in sorted(claims, key=lambda key: int(key.removeprefix("event_")))
        ]

    def claim(self, payload: dict[str, Any], *, number: int, by: str) -> Event | None:
        """Return the event with that number if it is now the caller's; None where another process was first."""
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
        """Say that the server has the event."""
        mlflow_client().set_tag(self.run_id, f"{event.key}.sent", datetime.now(UTC).isoformat(timespec="seconds"))

    def url(self, run_id: str) -> str:
        """Return the address of an entry's page in MLflow."""
        return f"{tracking.mlflow_ui()}/#/experiments/{self.experiment_id}/runs/{run_id}"


def _filter(**tags: str) -> str:
    return " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())


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
