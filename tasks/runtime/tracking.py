"""What is logged to an MLflow run: metrics, files, figures, tags, seconds."""

import inspect
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import DatasetInput, InputTag, Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis
from prefect import Task

from lstm_model.digests import digest_file, digest_text
from lstm_model.errors import ModelError
from tasks.runtime.retries import mlflow_client
from tasks.runtime.server_checks import EMBEDDED, is_database
from tasks.runtime.state.credentials import without_credentials
from tasks.runtime.state.local_state import artifacts_root
from tasks.runtime.state.tracking_database import prepare_tracking_database

DEFAULT_MLFLOW_UI = "http://127.0.0.1:5001"
BATCH_METRICS = 1_000  # More in one request are refused by MLflow.
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Run:
    """The MLflow run that a stage logs to; passed on, never looked up, since threads do not see the active run."""

    run_id: str
    experiment_id: str
    name: str
    data_name: str
    resumed: bool = False
    """Whether it goes on with what another process began."""
    stages_since: float = 0.0
    """Stage folders made before this time (seconds since 1970) are not used."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each input file, by its path, as it was when the run was opened."""

    def sha256_of(self, path: Path) -> str:
        """Return the SHA-256 that the file had when the run was opened; of another file, what it has now."""
        return self.inputs.get(str(path)) or digest_file(path)

    @property
    def url(self) -> str:
        return f"{mlflow_ui()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def mlflow_ui() -> str:
    """Return the address of the MLflow pages: $MLFLOW_UI_URL, the tracking server, or the one `make ui` starts."""
    uri = mlflow.get_tracking_uri()
    address = os.environ.get("MLFLOW_UI_URL") or (uri if uri.startswith("http") else DEFAULT_MLFLOW_UI)
    return without_credentials(address)


def open_tracking_store() -> None:
    """Open the tracking database before it is needed; at first use it is made, which takes seconds."""
    prepare_tracking_database()
    mlflow_client().search_experiments(max_results=1)


def ensure_experiment(name: str) -> str:
    """Return the experiment's id, creating it. Raises ModelError where its artifacts cannot be reached from here."""
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(mlflow.create_experiment(name, _artifact_location()))
        except MlflowException:  # Another process created it in between.
            experiment = mlflow.get_experiment_by_name(name)
            if experiment is None:
                raise
    if is_database(mlflow.get_tracking_uri()) and experiment.artifact_location.startswith("mlflow-artifacts:"):
        raise ModelError(
            expected=f"the artifacts of experiment {name} where this process can write",
            found=f"{experiment.artifact_location}, which only the MLflow server reads and writes",
            remedy="Set MLFLOW_TRACKING_URI to the address of that server (http), or choose another experiment.",
        )
    return str(experiment.experiment_id)


def _artifact_location() -> str | None:
    """Return where a new experiment keeps its artifacts; None lets the MLflow server say.

    Without a server MLflow's own default is a folder relative to wherever the process runs.
    """
    uri = mlflow.get_tracking_uri()
    location = os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or (
        artifacts_root().as_uri() if is_database(uri) else None
    )
    if location and location.startswith("file:") and not uri.startswith(EMBEDDED):
        logging.getLogger(__name__).warning(
            "Artifacts go to %s on this machine; others do not see them. MLFLOW_DEFAULT_ARTIFACT_ROOT names a place "
            "that all reach, such as s3://bucket/lstm-text.", location,
        )  # fmt: skip
    return location


def log_metrics(run: Run, figures: Mapping[str, float], *, step: int = 0) -> None:
    """Log figures to the run; what a resumed run holds already is not logged twice."""
    now = get_current_time_millis()
    known = mlflow_client().get_run(run.run_id).data.metrics if run.resumed and not step else {}
    metrics = [Metric(name, float(value), now, step) for name, value in figures.items() if known.get(name) != value]
    for first in range(0, len(metrics), BATCH_METRICS):
        mlflow_client().log_batch(run.run_id, metrics=metrics[first : first + BATCH_METRICS])


def label_key(label: str) -> str:
    """Return the label fit for a metric's name; what MLflow refuses is replaced, and a digest keeps labels apart."""
    safe = re.sub(r"[^\w\-. ]", "_", label)[:100].strip(". ")
    return safe if safe == label else f"{safe}_{digest_text(label)[:6]}"


def log_seconds(run: Run, *, stage: str, seconds: float) -> None:
    """Log how long a stage took in this run, its report included; a cached stage takes little."""
    log_metrics(run, {f"seconds.{stage}": seconds})


def timed(task: Task[..., Any]) -> Callable[..., Any]:
    """Make a task that is no stage log its seconds: called with `run=run`, which is passed on if it asks for it."""

    @wraps(task.fn)
    def call(*args: Any, run: Run, **kwargs: Any) -> Any:
        started = time.monotonic()
        passed = {"run": run} if "run" in inspect.signature(task.fn).parameters else {}
        result = task(*args, **kwargs, **passed)
        log_seconds(run, stage=task.fn.__name__, seconds=time.monotonic() - started)
        return result

    return call


def log_curves_epoch(run: Run, epoch: int, figures: Mapping[str, float]) -> None:
    """Log the figures of one epoch unless the run holds them: a training that goes on tells old epochs again."""
    history = mlflow_client().get_metric_history(run.run_id, next(iter(figures)))
    if epoch not in {metric.step for metric in history}:
        log_metrics(run, figures, step=epoch)


def log_curves(run: Run, epochs: list[dict[str, float]]) -> None:
    """Log the per-epoch figures that the run does not hold yet: all of them when training was cached."""
    for epoch, figures in enumerate(epochs, start=1):
        log_curves_epoch(run, epoch, figures)


def log_file(run: Run, path: Path, folder: str | None = None) -> None:
    """Log a file, or all files of a folder, as artifacts of the run."""
    if path.is_dir():
        mlflow_client().log_artifacts(run.run_id, str(path), folder)
    else:
        mlflow_client().log_artifact(run.run_id, str(path), folder)


def set_tags(run: Run, tags: Mapping[str, str]) -> None:
    """Set tags of the run, in one request."""
    mlflow_client().log_batch(run.run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def log_dataset(run: Run, path: Path, *, name: str, digest: str) -> None:
    """Record the validated rows as the run's MLflow dataset; its digest is that of the whole labelled file."""
    frame = pd.read_parquet(path, columns=["text", "label"])
    # MLflow keeps 36 characters of a digest; the tag data_digest holds all 64.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Two of MLflow's own sources claim a local path.
        dataset = mlflow.data.from_pandas(frame, source=str(path), name=name, targets="label", digest=digest[:36])
    tags = [InputTag("mlflow.data.context", "training")]
    mlflow_client().log_inputs(run.run_id, [DatasetInput(dataset._to_mlflow_entity(), tags)])
