"""A scheduled training that would repeat the last decided one ends early: same data, config and code."""

from mlflow.entities import Run as MlflowRun
from prefect.states import Completed, State

from lstm_model.config.pipeline import PipelineConfig
from tasks.promotion.outcome import TrainingOutcome
from tasks.registry.aliases import list_versions
from tasks.registry.version_files import find_damage
from tasks.runs.flow_run import cancel_overdue_runs
from tasks.runs.training_run import digest_inputs, latest_run, resume_key
from tasks.runtime.retries import mlflow_client
from tasks.runtime.state.local_state import use_local_state
from tasks.runtime.state.tracking_database import prepare_tracking_database
from tasks.runtime.tracking import Run

STATE_NAME = "Completed (unchanged)"
HEADLINE = ("accuracy", "macro_f1", "log_loss")


def unchanged_state(config: PipelineConfig, *, trigger: str, force_retrain: bool) -> State[TrainingOutcome] | None:
    """Return the state in which a scheduled flow run with nothing to do ends, or None."""
    if trigger != "schedule" or force_retrain:
        return None
    use_local_state()
    prepare_tracking_database()
    cancel_overdue_runs()
    last = _last_decided(config)
    if last is None or last.data.tags.get("resume_key") != resume_key(config, digest_inputs(config)):
        return None
    name, version = last.data.tags.get("model_name", ""), last.data.tags.get("model_version", "")
    if version not in {str(one.version) for one in list_versions(name)} or find_damage(name, version):
        return None  # Someone deleted the version or its files: the run finds its stages and registers it again.
    metrics = last.data.metrics
    run = Run(last.info.run_id, last.info.experiment_id, last.info.run_name, last.data.tags.get("data_file", ""))
    reason = f"data, config and code are those of run {run.run_id}, which made it"
    outcome = TrainingOutcome(
        run_id=run.run_id,
        run_url=run.url,
        model_name=name,
        version=version,
        promoted=False,
        decision="unchanged",
        reason=reason,
        metrics={key: metrics[f"test_{key}"] for key in HEADLINE if f"test_{key}" in metrics},
        summary=f"stays: {reason}",
    )
    return Completed(name=STATE_NAME, message=reason, data=outcome)


def _last_decided(config: PipelineConfig) -> MlflowRun | None:
    settings = config.registration
    experiment = mlflow_client().get_experiment_by_name(settings.experiment_name)
    if experiment is None:
        return None
    wanted = (
        f"params.`registration.model_name` = '{settings.model_name}' "
        "and attributes.status = 'FINISHED' and tags.decision != ''"
    )
    return latest_run(experiment.experiment_id, wanted)
