"""A training run in MLflow: settings, evaluation, predictions and split, each read when it is first used."""

import tempfile
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from lstm_model.config.pipeline import PipelineConfig, flat_settings, read_recorded, removed_settings
from lstm_model.errors import ModelError
from lstm_model.evaluation.record import Evaluation
from tasks.registry.registered_model import is_missing
from tasks.runtime.retries import mlflow_client, text_of
from tasks.runtime.state.credentials import without_password
from tasks.runtime.tracking import CONFIG_FILE

EVALUATION = "evaluation/evaluation.json"
PREDICTIONS = "evaluation/predictions.parquet"
MANIFEST = "split/splits.parquet"
NEEDED = {"text", "text_digest", "label", "predicted", "score"}  # The first releases left some out.


class PastRun:
    """A run and its artifacts. A missing artifact is None; an artifact store that fails raises ModelError."""

    def __init__(self, run: Run, client: MlflowClient | None = None) -> None:
        self.run, self.client = run, client or mlflow_client()
        self.run_id, self.tags = run.info.run_id, run.data.tags

    @classmethod
    def find(cls, run_id: str) -> "PastRun":
        """Return the run; raises ModelError if there is none."""
        try:
            return cls(mlflow_client().get_run(run_id))
        except MlflowException as error:
            if not is_missing(error):
                raise
        raise ModelError(
            f"There is no run {run_id} at {without_password(mlflow.get_tracking_uri())}.",
            "`make ui` shows the runs; MLFLOW_TRACKING_URI sets where to look for them.",
        )

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The evaluation; also None if an early release wrote it in another form."""
        content = self._read(EVALUATION)
        try:
            return None if content is None else Evaluation.model_validate_json(content)
        except ValidationError:
            return None

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """A row per test row; also None if an early release left out the texts."""
        table = self._table(PREDICTIONS)
        return table if table is not None and set(table) >= NEEDED else None

    @cached_property
    def manifest(self) -> pd.DataFrame | None:
        """The split of all rows, without texts."""
        return self._table(MANIFEST)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The recorded settings by flat name, perhaps of another release; empty if the run has none."""
        return {} if self._settings is None else flat_settings(self._settings)

    @cached_property
    def config(self) -> PipelineConfig | None:
        """The settings; raises ModelError if this release does not know them."""
        try:
            return None if self._settings is None else read_recorded(self._settings)
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise self._unknown_settings(problem)

    def exact_config(self) -> PipelineConfig:
        """Return the settings; raises ModelError if they are missing or now mean something else."""
        if self._settings is None:
            raise self.lacks(CONFIG_FILE)
        if gone := removed_settings(self._settings):
            raise self._unknown_settings(", ".join(f"{name}={value}" for name, value in gone.items()))
        assert self.config is not None
        return self.config

    def lacks(self, *names: str) -> ModelError:
        """Return the error for missing artifacts, which also says how the run ended."""
        reason = self.tags.get("failure_reason")
        state = self.run.info.status + (f": {reason[:200]}" if reason else "")
        return ModelError(
            f"Run {self.run_id} ({self.run.info.run_name}) has no {', '.join(names)} that this release can read "
            f"(the run is {state}).",
            "Runs of an early release lack them: train again.",
        )

    def _unknown_settings(self, problem: str) -> ModelError:
        commit = self.tags.get("git_commit", "that the run names")
        return ModelError(
            f"This version does not know a setting in {CONFIG_FILE} of run {self.run_id}: {problem}.",
            f"The code has changed since: check out commit {commit} and reproduce the run there.",
        )

    @cached_property
    def _settings(self) -> str | None:
        content = self._read(CONFIG_FILE)
        return None if content is None else content.decode()

    def _table(self, name: str) -> pd.DataFrame | None:
        content = self._read(name)
        return None if content is None else pd.read_parquet(BytesIO(content))

    def _read(self, name: str) -> bytes | None:
        """Return the contents of an artifact; None if the run has none of that name."""
        parent = name.rpartition("/")[0] or None
        try:
            if name not in {item.path for item in self.client.list_artifacts(self.run_id, parent)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(self.client.download_artifacts(self.run_id, name, folder)).read_bytes()
        except (OSError, MlflowException) as error:
            raise ModelError(
                f"{name} of run {self.run_id} cannot be read: {text_of(error)[:200]}.",
                "The artifact store is incomplete or does not answer: restore it, or name another run.",
            ) from None
