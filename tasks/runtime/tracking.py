"""What is logged to an MLflow run: metrics, files, plots, tags, seconds."""

import inspect
import logging
import os
import re
import shlex
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import DatasetInput, InputTag, Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis
from prefect import Task, get_run_logger

from lstm_model.data.parts import digest_input
from lstm_model.digests import digest_text
from lstm_model.errors import ModelError
from tasks.runtime.retries import mlflow_client
from tasks.runtime.server_checks import EMBEDDED, is_database
from tasks.runtime.state.credentials import without_credentials, without_password
from tasks.runtime.state.local_state import artifacts_root
from tasks.runtime.terminal import running

DEFAULT_MLFLOW_UI = "http://127.0.0.1:5001"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Run:
    """The MLflow run that a stage logs to: passed on, since other threads do not see the active run."""

    run_id: str
    experiment_id: str
    name: str
    data_name: str
    resumed: bool = False  # It continues a run that another process started.
    stages_since: float = 0.0  # Stage folders made before this time (seconds since 1970) are not used.
    inputs: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of input files by path, when the run was opened.

    def sha256_of(self, path: Path) -> str:
        """Return the SHA-256 that the file had when the run was opened; for any other file, what it has now."""
        return self.inputs.get(str(path)) or digest_input(path)

    @property
    def url(self) -> str:
        return f"{mlflow_ui()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def mlflow_ui() -> str:
    """Return the address of MLflow's pages: $MLFLOW_UI_URL, the tracking server, or the one that `make ui` starts."""
    uri = mlflow.get_tracking_uri()
    address = os.environ.get("MLFLOW_UI_URL") or (uri if uri.startswith("http") else DEFAULT_MLFLOW_UI)
    return without_credentials(address)


def ensure_experiment(name: str) -> str:
    """Return the experiment's id, creating it. Raises ModelError where this process cannot reach its artifacts."""
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(mlflow.create_experiment(name, _artifact_location()))
        except MlflowException:  # Another process may have created it in between.
            experiment = mlflow.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        server = f"MLFLOW_TRACKING_URI={shlex.quote(without_password(mlflow.get_tracking_uri()))}"
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise ModelError(
            f"The experiment {name} is deleted.",
            f"Restore it: {server} {restore}, or choose another with --registration.experiment-name.",
        )
    location = experiment.artifact_location
    if is_database(mlflow.get_tracking_uri()) and location.startswith("mlflow-artifacts:"):
        raise ModelError(
            f"The artifacts of experiment {name} are at {location}, which only the MLflow server can write to.",
            "Set MLFLOW_TRACKING_URI to the address of that server (http), or choose another experiment.",
        )
    return str(experiment.experiment_id)


def _artifact_location() -> str | None:
    """Return where a new experiment keeps its artifacts; None leaves it to the MLflow server.

    Without a server MLflow's default is a folder relative to where the process runs.
    """
    uri = mlflow.get_tracking_uri()
    location = os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or (
        artifacts_root().as_uri() if is_database(uri) else None
    )
    if location and location.startswith("file:") and not uri.startswith(EMBEDDED):
        logging.getLogger(__name__).warning(
            "Artifacts go to %s on this machine, where others cannot see them. Set MLFLOW_DEFAULT_ARTIFACT_ROOT to a "
            "place that all can reach, such as s3://bucket/lstm-text.", location,
        )  # fmt: skip
    return location


def log_metrics(run: Run, metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Log metrics to the run; what a resumed run already has is not logged twice."""
    now = get_current_time_millis()
    known = mlflow_client().get_run(run.run_id).data.metrics if run.resumed and not step else {}
    missing = [Metric(name, float(value), now, step) for name, value in metrics.items() if known.get(name) != value]
    mlflow_client().log_batch(run.run_id, metrics=missing)


def label_key(label: str) -> str:
    """Return the label as part of a metric's name: what MLflow refuses is replaced, and a digest keeps it unique."""
    safe = re.sub(r"[^\w\-. ]", "_", label)[:100].strip(". ")
    return safe if safe == label else f"{safe}_{digest_text(label)[:6]}"


def call_timed(run: Run, name: str, call: Callable[[], Any], headline: Callable[[Any], str | None]) -> Any:
    """Return call(), a part of the run; log its seconds, few for a cached stage.

    headline: returns what the terminal and Prefect say of the result; None for no line.
    """
    started, shown = time.monotonic(), name.replace("_", "-")
    with running(shown):
        result = call()
        said = headline(result)
    seconds = time.monotonic() - started
    log_metrics(run, {f"seconds.{name}": seconds})
    if said:
        get_run_logger().info("%-20s%7.1f s  %s", shown, seconds, said)
    return result


def timed(headline: Callable[[Any], str | None]) -> Callable[[Task[..., Any]], Callable[..., Any]]:
    """Call a task that is no stage with `call_timed`. It is called with `run=run`, passed on if it takes `run`."""

    def decorate(task: Task[..., Any]) -> Callable[..., Any]:
        @wraps(task.fn)
        def call(*args: Any, run: Run, **kwargs: Any) -> Any:
            passed = {"run": run} if "run" in inspect.signature(task.fn).parameters else {}
            return call_timed(run, task.fn.__name__, partial(task, *args, **kwargs, **passed), headline)

        return call

    return decorate


def log_curves(run: Run, epochs: Mapping[int, Mapping[str, float]]) -> None:
    """Log the metrics of epochs that the run does not have: a resumed training reports its old epochs again."""
    first = next(iter(epochs.values()))
    known = {metric.step for metric in mlflow_client().get_metric_history(run.run_id, next(iter(first)))}
    for epoch in sorted(epochs.keys() - known):
        log_metrics(run, epochs[epoch], step=epoch)


def log_file(run: Run, path: Path, folder: str | None = None) -> None:
    """Log a file, or all files in a folder, as artifacts of the run."""
    if path.is_dir():
        mlflow_client().log_artifacts(run.run_id, str(path), folder)
    else:
        mlflow_client().log_artifact(run.run_id, str(path), folder)


def set_tags(run: Run, tags: Mapping[str, str]) -> None:
    """Set tags of the run, in one request."""
    mlflow_client().log_batch(run.run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def log_dataset(run: Run, path: Path, *, name: str, digest: str) -> None:
    """Record the validated rows as the run's MLflow dataset, with the digest of the whole labelled file."""
    frame = pd.read_parquet(path, columns=["text", "label"])
    # MLflow keeps 36 characters of a digest; the tag data_digest holds all 64.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns that two of its source types match a local path.
        dataset = mlflow.data.from_pandas(frame, source=str(path), name=name, targets="label", digest=digest[:36])
    tags = [InputTag("mlflow.data.context", "training")]
    mlflow_client().log_inputs(run.run_id, [DatasetInput(dataset._to_mlflow_entity(), tags)])
