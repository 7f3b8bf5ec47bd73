"""The MLflow runs of a search: one parent and one child for each trial. A continued search opens them again."""

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
    """Open the MLflow run of a search, in a separate experiment; always end it."""
    experiment_id = with_retries(ensure_experiment, f"{base.registration.experiment_name}-tuning")
    name = (flow_run.name or base.data.path.stem)[:RUN_NAME_LENGTH]
    with _opened(earlier, Run("", experiment_id, name, base.data.path.name, inputs=digest_inputs(base))) as run:
        set_tags(run, run_tags(base, "manual", None))
        for section in ("tokenization", "split", "model", "training"):
            log_params(run, getattr(base, section), prefix=f"{section}.")
        set_tags(run, {"tuning": tuning.model_dump_json()})  # Not params: a continued search may have more trials.
        publish_link(run)
        yield run


@contextmanager
def trial_run(trial: optuna.Trial, config: PipelineConfig, *, parent: Run) -> Iterator[Run]:
    """Open the MLflow run of a trial; always end it."""
    wanted = Run("", parent.experiment_id, f"trial {trial.number}", parent.data_name)
    with _opened(trial.user_attrs.get("run_id"), wanted) as run:
        trial.set_user_attr("run_id", run.run_id)
        set_tags(run, {MLFLOW_PARENT_RUN_ID: parent.run_id, "trial": str(trial.number)})
        log_params(run, config.model, prefix="model.")
        log_params(run, config.training, prefix="training.")
        yield run


@contextmanager
def _opened(earlier: str | None, wanted: Run) -> Iterator[Run]:
    """Open the earlier run again, or a new one if the earlier one was deleted; always end it."""
    client = mlflow_client()
    run_id = None
    try:
        if earlier and client.get_run(earlier).info.lifecycle_stage == "active":
            client.update_run(earlier, status="RUNNING")
            run_id = earlier
    except MlflowException as error:
        if not is_missing(error):
            raise
    run = replace(wanted, run_id=run_id or client.create_run(wanted.experiment_id, run_name=wanted.name).info.run_id)
    try:
        yield run
    except BaseException as error:  # noqa: BLE001  end_early raises
        end_early(run, error)
    client.set_terminated(run.run_id, "FINISHED")
