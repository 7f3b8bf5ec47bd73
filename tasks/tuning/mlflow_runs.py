"""The MLflow runs of a search: one for the whole, below it one for each trial; found again after an interruption."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import optuna
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from prefect.runtime import flow_run

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.tuning import TuningConfig
from tasks.registry.registered_model import is_missing
from tasks.runs.training_run import RUN_NAME_LENGTH, digest_inputs, end_early, log_params, publish_link, run_tags
from tasks.runtime.retries import mlflow_client, with_retries
from tasks.runtime.tracking import Run, ensure_experiment, set_tags


@contextmanager
def search_run(base: PipelineConfig, tuning: TuningConfig, *, earlier: str | None) -> Iterator[Run]:
    """Open the MLflow run of a search, in an experiment of its own, and end it whatever happens."""
    experiment_id = with_retries(ensure_experiment, f"{base.registration.experiment_name}-tuning")
    name = (flow_run.name or base.data.path.stem)[:RUN_NAME_LENGTH]
    run = _opened(earlier, Run("", experiment_id, name, base.data.path.name, inputs=digest_inputs(base)))
    with _ended(run):
        set_tags(run, run_tags(base, "manual", None))
        for section in ("tokenization", "split", "model", "training"):
            log_params(run, getattr(base, section), prefix=f"{section}.")
        set_tags(run, {"tuning": tuning.model_dump_json()})  # No params: a continuation may have more trials.
        publish_link(run)
        yield run


@contextmanager
def trial_run(trial: optuna.Trial, config: PipelineConfig, *, parent: Run) -> Iterator[Run]:
    """Open the MLflow run of a trial and end it whatever happens."""
    wanted = Run("", parent.experiment_id, f"trial {trial.number}", parent.data_name)
    run = _opened(trial.user_attrs.get("run_id"), wanted)
    trial.set_user_attr("run_id", run.run_id)
    with _ended(run):
        set_tags(run, {MLFLOW_PARENT_RUN_ID: parent.run_id, "trial": str(trial.number)})
        log_params(run, config.model, prefix="model.")
        log_params(run, config.training, prefix="training.")
        yield run


def _opened(earlier: str | None, wanted: Run) -> Run:
    """Return the earlier run, marked as running, or a new one where it is none any more."""
    try:
        if earlier and mlflow_client().get_run(earlier).info.lifecycle_stage == "active":
            mlflow_client().update_run(earlier, status="RUNNING")
            return replace(wanted, run_id=earlier)
    except MlflowException as error:
        if not is_missing(error):  # Missing: deleted for good.
            raise
    run_id = mlflow_client().create_run(wanted.experiment_id, run_name=wanted.name).info.run_id
    return replace(wanted, run_id=run_id)


@contextmanager
def _ended(run: Run) -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # noqa: BLE001  end_early raises
        end_early(run, error)
    mlflow_client().set_terminated(run.run_id, "FINISHED")
