"""What MLflow keeps of a training run, as far as another run can be compared with it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.errors import ModelError
from tasks.registry.registered_model import is_missing
from tasks.runtime.retries import text_of
from tasks.runtime.state.credentials import without_password
from tasks.runtime.tracking import CONFIG_FILE

SPLITS, PREDICTIONS = "split/splits.parquet", "evaluation/predictions.parquet"


@dataclass(frozen=True)
class RecordedRun:
    """A finished training run: its settings, what made it, and what came of it."""

    run_id: str
    config: PipelineConfig
    params: dict[str, str]
    tags: dict[str, str]
    test_metrics: dict[str, float]
    splits: pd.DataFrame
    predictions: pd.DataFrame


def read_recorded_run(client: MlflowClient, run_id: str) -> RecordedRun:
    """Read a run; raises ModelError where it is unknown, unfinished, or lacks what running it again needs."""
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if not is_missing(error):
            raise
        raise ModelError(
            expected=f"a run {run_id} at {without_password(client.tracking_uri)}",
            found="none",
            remedy="`make ui` shows the runs; MLFLOW_TRACKING_URI says where they are looked for.",
        ) from None
    tags = run.data.tags
    if run.info.status != "FINISHED" or "data_digest" not in tags:
        reason = f": {tags['failure_reason']}" if "failure_reason" in tags else ""
        raise ModelError(
            expected=f"run {run_id} to be a training that finished",
            found=f"status {run.info.status}{reason}",
            remedy="Name a run that finished.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: _artifact(client, run_id, name, scratch) for name in (CONFIG_FILE, SPLITS, PREDICTIONS)}
        return RecordedRun(
            run_id=run_id,
            config=_config(files[CONFIG_FILE].read_text("utf-8"), run_id, tags),
            params=run.data.params,
            tags=tags,
            test_metrics={name: value for name, value in run.data.metrics.items() if name.startswith("test_")},
            splits=pd.read_parquet(files[SPLITS]),
            predictions=pd.read_parquet(files[PREDICTIONS]),
        )


def _artifact(client: MlflowClient, run_id: str, name: str, scratch: str) -> Path:
    try:
        return Path(client.download_artifacts(run_id, name, scratch))
    except (OSError, MlflowException) as error:
        raise ModelError(
            expected=f"{name} among the artifacts of run {run_id}",
            found=text_of(error)[:200],
            remedy="Runs of an older lstm-text lack it: train again. Otherwise restore the artifact store.",
        ) from None


def _config(recorded: str, run_id: str, tags: dict[str, str]) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate_json(recorded)
    except ValidationError as error:
        first = error.errors()[0]
        commit = tags.get("git_commit", "that the run names")
        raise ModelError(
            expected=f"settings that this version knows in {CONFIG_FILE} of run {run_id}",
            found=f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}",
            remedy=f"The code has changed since: check out commit {commit} and reproduce there.",
        ) from None
