"""The MLflow run of a flow run: opened once, closed with a status whatever happens, linked both ways with Prefect."""

import inspect
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis
from prefect import Task
from prefect.artifacts import create_link_artifact
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL
from pydantic import BaseModel

from lstm_model.config import PipelineConfig, flatten
from lstm_model.digests import digest_text
from lstm_model.errors import LstmTextError
from tasks.local_state import artifacts_root, use_local_state
from tasks.missed_slots import cancel_missed_slots
from tasks.provenance import provenance
from tasks.publishing import shorten_errors
from tasks.recording import wait_until_recorded

DEFAULT_MLFLOW_UI = "http://127.0.0.1:5001"
BATCH_METRICS = 1_000  # More in one request are refused by MLflow.
DEFAULT_PREFECT_UI = "http://127.0.0.1:4200"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Run:
    """The MLflow run that a stage logs to; passed on, never looked up, since threads do not see the active run."""

    run_id: str
    experiment_id: str
    name: str
    data_name: str

    @property
    def url(self) -> str:
        return f"{mlflow_ui()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def mlflow_ui() -> str:
    """Return the address of the MLflow pages: $MLFLOW_UI_URL, the tracking server, or the one `make ui` starts."""
    uri = mlflow.get_tracking_uri()
    return os.environ.get("MLFLOW_UI_URL") or (uri if uri.startswith("http") else DEFAULT_MLFLOW_UI)


@contextmanager
def recorded_flow() -> Iterator[None]:
    """What every flow's body runs in: local state, short errors, missed slots, task runs recorded at the end."""
    use_local_state()
    shorten_errors()
    cancel_missed_slots()
    try:
        yield
    finally:
        wait_until_recorded()


@contextmanager
def training_run(config: PipelineConfig, *, trigger: str) -> Iterator[Run]:
    """Open an MLflow run, log what identifies it, and end it FINISHED, FAILED or KILLED with the reason as a tag."""
    with recorded_flow(), _opened_run(config, trigger) as run:
        try:
            _log_config(run, config)
            publish_link(run)
            yield run
        except KeyboardInterrupt:
            end_run(run, status="KILLED", reason="interrupted")
            raise
        except BaseException as error:
            end_run(run, status="FAILED", reason=failure_reason(error))
            raise


@contextmanager
def _opened_run(config: PipelineConfig, trigger: str) -> Iterator[Run]:
    experiment_id = ensure_experiment(config.registration.experiment_name)
    name = flow_run.name or config.data.path.stem
    with mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=run_tags(config, trigger)) as active:
        yield Run(active.info.run_id, experiment_id, name, config.data.path.name)


def end_run(run: Run, *, status: str, reason: str) -> None:
    """End the run early, with the reason as tag `failure_reason`."""
    MlflowClient().set_tag(run.run_id, "failure_reason", reason)
    mlflow.end_run(status)


def failure_reason(error: BaseException) -> str:
    """Return one line that says what went wrong."""
    text = str(error).strip() or type(error).__name__
    return (text if isinstance(error, LstmTextError) else f"{type(error).__name__}: {text}")[:4_000]


def ensure_experiment(name: str) -> str:
    """Return the experiment's id, creating it; with the embedded database its artifacts go below mlruns/artifacts."""
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        local = mlflow.get_tracking_uri().startswith("sqlite")
        try:
            return str(mlflow.create_experiment(name, artifacts_root().as_uri() if local else None))
        except MlflowException:  # Another process created it in between.
            experiment = mlflow.get_experiment_by_name(name)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


def prefect_url(flow_run_id: str) -> str:
    """Return the address of a flow run's page in Prefect."""
    return f"{PREFECT_UI_URL.value() or DEFAULT_PREFECT_UI}/runs/flow-run/{flow_run_id}"


def run_tags(config: PipelineConfig, trigger: str) -> dict[str, str]:
    """Return what identifies a run: data, trigger, flow run, code, user."""
    url = prefect_url(flow_run.id)
    return {
        "mlflow.note.content": f"Prefect flow run [{flow_run.name}]({url})",  # The description: tags are no links.
        "data_file": str(config.data.path),
        "trigger": trigger,
        "prefect.flow_run_id": flow_run.id or "",
        "prefect.flow_run_name": flow_run.name or "",
        "prefect.flow_run_url": url,
        **provenance(),
    }


def _log_config(run: Run, config: PipelineConfig) -> None:
    """Log the settings twice: as params to compare runs by, and as config.json, exact, to run again from."""
    MlflowClient().log_text(run.run_id, config.model_dump_json(indent=1) + "\n", CONFIG_FILE)
    log_params(run, config)


def log_params(run: Run, config: BaseModel, *, prefix: str = "") -> None:
    """Log settings as params."""
    params = [Param(key, str(value)[:6_000]) for key, value in flatten(config, prefix).items()]
    MlflowClient().log_batch(run.run_id, params=params)


def publish_link(run: Run) -> None:
    """Show a link to the run on the flow run's page."""
    create_link_artifact(
        link=run.url, link_text=f"MLflow run {run.name}", key="mlflow-run", description="The run's page in MLflow"
    )


def log_metrics(run: Run, figures: Mapping[str, float], *, step: int = 0) -> None:
    """Log figures to the run."""
    now = get_current_time_millis()
    metrics = [Metric(name, float(value), now, step) for name, value in figures.items()]
    for first in range(0, len(metrics), BATCH_METRICS):
        MlflowClient().log_batch(run.run_id, metrics=metrics[first : first + BATCH_METRICS])


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
    history = MlflowClient().get_metric_history(run.run_id, next(iter(figures)))
    if epoch not in {metric.step for metric in history}:
        log_metrics(run, figures, step=epoch)


def log_curves(run: Run, epochs: list[dict[str, float]]) -> None:
    """Log the per-epoch figures that the run does not hold yet: all of them when training was cached."""
    for epoch, figures in enumerate(epochs, start=1):
        log_curves_epoch(run, epoch, figures)


def log_file(run: Run, path: Path, folder: str | None = None) -> None:
    """Log a file, or all files of a folder, as artifacts of the run."""
    client = MlflowClient()
    if path.is_dir():
        client.log_artifacts(run.run_id, str(path), folder)
    else:
        client.log_artifact(run.run_id, str(path), folder)


def log_figure(run: Run, figure: Any, name: str) -> None:
    """Log a matplotlib figure as figures/<name>.png."""
    MlflowClient().log_figure(run.run_id, figure, f"figures/{name}.png")


def set_tags(run: Run, tags: Mapping[str, str]) -> None:
    client = MlflowClient()
    for key, value in tags.items():
        client.set_tag(run.run_id, key, value)


def log_dataset(run: Run, path: Path, *, name: str, digest: str) -> None:
    """Record the validated rows as the run's MLflow dataset; its digest is that of the whole labelled file."""
    frame = pd.read_parquet(path, columns=["text", "label"])
    # MLflow keeps 36 characters of a digest; the tag data_digest holds all 64.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Two of MLflow's own sources claim a local path.
        dataset = mlflow.data.from_pandas(frame, source=str(path), name=name, targets="label", digest=digest[:36])
    tags = [InputTag("mlflow.data.context", "training")]
    MlflowClient().log_inputs(run.run_id, [DatasetInput(dataset._to_mlflow_entity(), tags)])
