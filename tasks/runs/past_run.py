"""A training run as MLflow keeps it: settings, evaluation, predictions and split, each read when it is asked for."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.recorded import flat_settings, read_recorded, removed_settings
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
    """A run of MLflow and what it holds. What it lacks is None; an artifact store that fails raises ModelError."""

    def __init__(self, run: Run, client: MlflowClient | None = None) -> None:
        self.run, self.client = run, client or mlflow_client()
        self.run_id, self.tags = run.info.run_id, run.data.tags

    @classmethod
    def find(cls, run_id: str, client: MlflowClient | None = None) -> "PastRun":
        """Return the run; raises ModelError where there is none."""
        client = client or mlflow_client()
        try:
            return cls(client.get_run(run_id), client)
        except MlflowException as error:
            if not is_missing(error):
                raise
        raise ModelError(
            expected=f"a run {run_id} at {without_password(client.tracking_uri)}",
            found="none",
            remedy="`make ui` shows the runs; MLFLOW_TRACKING_URI says where they are looked for.",
        )

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """What the evaluation found; None also where an early release wrote it otherwise."""
        try:
            content = self._text(EVALUATION)
            return None if content is None else Evaluation.model_validate_json(content)
        except ValidationError:
            return None

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """A row per test row; None also where an early release left out the texts."""
        table = self._table(PREDICTIONS)
        return table if table is not None and set(table) >= NEEDED else None

    @cached_property
    def manifest(self) -> pd.DataFrame | None:
        """The split of all rows, without texts."""
        return self._table(MANIFEST)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings by flat name, as recorded, perhaps by another release; nothing where they were not."""
        content = self._text(CONFIG_FILE)
        return {} if content is None else flat_settings(content)

    @cached_property
    def config(self) -> PipelineConfig | None:
        """The settings; raises ModelError where this release does not know them."""
        content = self._text(CONFIG_FILE)
        if content is None:
            return None
        try:
            return read_recorded(content)
        except ValidationError as error:
            first = error.errors()[0]
            self._unknown_settings(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")

    def exact_config(self) -> PipelineConfig:
        """Return the settings; raises ModelError unless they mean now what they meant then."""
        content = self._text(CONFIG_FILE)
        if content is not None and (gone := removed_settings(content)):
            self._unknown_settings(", ".join(f"{name}={value}" for name, value in gone.items()))
        if self.config is None:
            raise self.lacks(CONFIG_FILE)
        return self.config

    def lacks(self, *names: str) -> ModelError:
        """Return the error that says that artifacts are missing, and what became of the run."""
        reason = self.tags.get("failure_reason")
        state = self.run.info.status + (f": {reason[:200]}" if reason else "")
        return ModelError(
            expected=f"{', '.join(names)} among the artifacts of run {self.run_id} ({self.run.info.run_name})",
            found=f"none that this release reads (the run is {state})",
            remedy="Runs of an early release lack them: train again.",
        )

    def _unknown_settings(self, found: str) -> NoReturn:
        commit = self.tags.get("git_commit", "that the run names")
        raise ModelError(
            expected=f"settings that this version knows in {CONFIG_FILE} of run {self.run_id}",
            found=found,
            remedy=f"The code has changed since: check out commit {commit} and reproduce there.",
        ) from None

    def _text(self, name: str) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            path = self._download(name, folder)
            return None if path is None else path.read_text("utf-8")

    def _table(self, name: str) -> pd.DataFrame | None:
        with tempfile.TemporaryDirectory() as folder:
            path = self._download(name, folder)
            return None if path is None else pd.read_parquet(path)

    def _download(self, name: str, folder: str) -> Path | None:
        """Return where the artifact is now; None where the run has none of that name."""
        parent = name.rpartition("/")[0] or None
        try:
            if name not in {item.path for item in self.client.list_artifacts(self.run_id, parent)}:
                return None
            return Path(self.client.download_artifacts(self.run_id, name, folder))
        except (OSError, MlflowException) as error:
            raise ModelError(
                expected=f"{name} among the artifacts of run {self.run_id}",
                found=text_of(error)[:200],
                remedy="The artifact store is incomplete or does not answer: restore it, or name another run.",
            ) from None
