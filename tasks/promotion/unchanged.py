"""A scheduled training that would repeat the last decided one ends early: same data, config and code."""

from typing import Any

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from prefect.states import Completed, State

from lstm_model.config.pipeline import PipelineConfig
from tasks.promotion.outcome import TrainingOutcome
from tasks.registry.registered_model import is_missing
from tasks.registry.version_files import find_damage
from tasks.runs.overdue_runs import cancel_overdue_runs
from tasks.runs.training_run import digest_inputs, resume_key
from tasks.runtime.retries import mlflow_client
from tasks.runtime.state.local_state import use_local_state
from tasks.runtime.state.tracking_database import prepare_tracking_database
from tasks.runtime.tracking import Run

STATE_NAME = "Completed (unchanged)"


def unchanged_state(config: PipelineConfig, *, trigger: str, force_retrain: bool) -> State[TrainingOutcome] | None:
    """Return the state in which a scheduled flow run ends that has nothing to do, or None."""
    if trigger != "schedule" or force_retrain:
        return None
    use_local_state()
    prepare_tracking_database()
    cancel_overdue_runs()
    last = _last_decided(config)
    if last is None or last.data.tags.get("resume_key") != resume_key(config, digest_inputs(config)):
        return None
    if not _is_registered(last.data.tags.get("model_name", ""), last.data.tags.get("model_version", "")):
        return None  # Somebody deleted the version or its files: the stages are there, and it is registered again.
    outcome = _outcome(last)
    return Completed(name=STATE_NAME, message=outcome.reason, data=outcome)


def _last_decided(config: PipelineConfig) -> MlflowRun | None:
    experiment = mlflow_client().get_experiment_by_name(config.registration.experiment_name)
    if experiment is None:
        return None
    wanted = (
        f"params.`registration.model_name` = '{config.registration.model_name}' "
        "and attributes.status = 'FINISHED' and tags.decision != ''"
    )
    found = mlflow_client().search_runs(
        [experiment.experiment_id], wanted, order_by=["attributes.start_time DESC"], max_results=1
    )
    return found[0] if found else None


def _is_registered(name: str, version: str) -> bool:
    try:
        mlflow_client().get_model_version(name, version)
    except MlflowException as error:
        if not is_missing(error):
            raise
        return False
    return find_damage(name, version) is None


def _outcome(last: MlflowRun) -> TrainingOutcome:
    tags: dict[str, Any] = last.data.tags
    run = Run(last.info.run_id, last.info.experiment_id, last.info.run_name, tags.get("data_file", ""))
    version = tags.get("model_version", "")
    reason = f"data, config and code are those of run {run.run_id}, which made it"
    return TrainingOutcome(
        run_id=run.run_id,
        run_url=run.url,
        model_name=tags.get("model_name", ""),
        version=version,
        promoted=False,
        decision="unchanged",
        reason=reason,
        champion_version=None,
        metrics={
            name.removeprefix("test_"): value
            for name, value in last.data.metrics.items()
            if name in ("test_accuracy", "test_macro_f1", "test_log_loss")
        },
        rows={},
        seconds={},
        rules=[],
        told=f"stays: {reason}",
        table="",
        rules_table="",
    )
