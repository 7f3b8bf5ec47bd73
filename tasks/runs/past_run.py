"""A training run in MLflow: found as you name it; its artifacts are each read when they are first used."""

import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
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
ID_PREFIX = re.compile(r"[0-9a-f]{4,32}")
LISTED_RUNS = 8


class PastRun:
    """A run and its artifacts. A missing artifact is None; an artifact store that fails raises ModelError."""

    def __init__(self, run: Run, client: MlflowClient | None = None) -> None:
        self.run, self.client = run, client or mlflow_client()
        self.run_id, self.tags, self.metrics = run.info.run_id, run.data.tags, run.data.metrics

    @classmethod
    def get(cls, run_id: str | None) -> "PastRun | None":
        """Return the run, or None if there is none; a version that was registered by hand may have no id of one."""
        try:
            return cls(mlflow_client().get_run(run_id)) if run_id else None
        except MlflowException as error:
            if is_missing(error):
                return None
            raise

    @classmethod
    def find(cls, run_id: str) -> "PastRun":
        """Return the run; raises ModelError if there is none."""
        if past := cls.get(run_id):
            return past
        raise ModelError(
            f"There is no run {run_id} at {without_password(mlflow.get_tracking_uri())}.",
            "`make ui` shows the runs; MLFLOW_TRACKING_URI sets where to look for them.",
        )

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The evaluation; also None if an early release wrote it in another form."""
        with suppress(ValidationError):
            return self._read(EVALUATION, lambda file: Evaluation.model_validate_json(file.read()))
        return None

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """A row per test row; also None if an early release left out the texts."""
        table = self._read(PREDICTIONS, pd.read_parquet)
        return table if table is not None and set(table) >= NEEDED else None

    @cached_property
    def manifest(self) -> pd.DataFrame | None:
        """The split of all rows, without texts."""
        return self._read(MANIFEST, pd.read_parquet)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The recorded settings by flat name, perhaps of another release; empty if the run has none."""
        return self._read(CONFIG_FILE, lambda file: flat_settings(file.read())) or {}

    @cached_property
    def config(self) -> PipelineConfig | None:
        """The settings; raises ModelError if this release does not know them."""
        try:
            return read_recorded(self.settings) if self.settings else None
        except ValidationError as error:
            first = error.errors()[0]
            raise self._unknown_settings(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def exact_config(self) -> PipelineConfig:
        """Return the settings; raises ModelError if they are missing or now mean something else."""
        if not self.settings:
            raise self.lacks(CONFIG_FILE)
        if gone := removed_settings(self.settings):
            raise self._unknown_settings(", ".join(f"{name}={value}" for name, value in gone.items()))
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

    def _read(self, name: str, parse: Callable[[BytesIO], Any]) -> Any:
        """Return an artifact, parsed; None if the run has none of that name."""
        parent = name.rpartition("/")[0] or None
        try:
            if name not in {item.path for item in self.client.list_artifacts(self.run_id, parent)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                content = Path(self.client.download_artifacts(self.run_id, name, folder)).read_bytes()
        except (OSError, MlflowException) as error:
            raise ModelError(
                f"{name} of run {self.run_id} cannot be read: {text_of(error)[:200]}.",
                "The artifact store is incomplete or does not answer: restore it, or name another run.",
            ) from None
        return parse(BytesIO(content))


def find_run(reference: str) -> PastRun:
    """Return the run with this id, start of an id, or name. Raises ModelError, which lists runs, unless one has it."""
    runs = _search(f"attributes.run_id LIKE '{reference}%'") if ID_PREFIX.fullmatch(reference) else []
    quote = "'" if '"' in reference else '"'
    if not runs and quote not in reference:
        runs = _search(f"attributes.run_name = {quote}{reference}{quote}")
    if len(runs) == 1:
        return PastRun(runs[0])
    raise ModelError(
        f"{len(runs) or 'No'} runs have the id, start of an id (4 characters or more) or name {reference!r}.",
        f"These are: {_listed(runs)}." if runs else known_runs(),
    )


def known_runs() -> str:
    """Return a sentence that lists the latest runs with an evaluation, for an error's remedy."""
    evaluated = [run for run in _search("", 200) if "test_macro_f1" in run.data.metrics]
    if not evaluated:
        return "Train a model first: lstm-text train."
    return f"The latest evaluated runs are: {_listed(evaluated)}."


def _listed(runs: list[Run]) -> str:
    infos = [run.info for run in runs[:LISTED_RUNS]]
    return ", ".join(f"{info.run_id[:8]} ({info.run_name}, {moment(info.start_time)})" for info in infos)


def _search(condition: str, limit: int = LISTED_RUNS) -> list[Run]:
    client = mlflow_client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, condition, max_results=limit, order_by=["attributes.start_time DESC"])


def moment(milliseconds: int) -> str:
    """Return a time in milliseconds since 1970, as MLflow has it, as text in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
