"""The result of a training run, for the terminal and for programs; also of one that would repeat the last."""

from prefect.states import Completed, State
from pydantic import BaseModel

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.evaluation.gate_rules import Rule
from tasks.promotion.decision_record import Decision, Kind
from tasks.registry.registered_model import is_undamaged, list_versions
from tasks.runs.flow_run import cancel_overdue_runs
from tasks.runs.training_run import digest_inputs, latest_run, resume_key
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.state.local_state import use_local_state
from tasks.runtime.state.tracking_database import prepare_tracking_database
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import evaluation_text, read_evaluation

HEADLINE = ("accuracy", "macro_f1", "log_loss")  # Metrics of an unchanged run.


class TrainingOutcome(BaseModel):
    """The JSON object that `lstm-text train --json` prints, without summary and table, which are for the terminal."""

    run_id: str
    run_url: str
    model_name: str
    version: str
    promoted: bool
    decision: Kind
    reason: str
    champion_version: str | None = None
    metrics: dict[str, float]
    rows: dict[str, int] = {}
    seconds: dict[str, float] = {}
    rules: list[Rule] = []
    summary: str
    table: str = ""


def training_outcome(
    run: Run, examples: StageRecord, splits: StageRecord, evaluation: StageRecord, decision: Decision
) -> TrainingOutcome:
    logged = mlflow_client().get_run(run.run_id).data.metrics.items()
    return TrainingOutcome(
        **dict(decision),
        run_url=run.url,
        decision=decision.kind,
        metrics=evaluation.facts["metrics"],
        rows={**splits.facts["rows"], "quarantined": examples.facts["quarantined"]},
        seconds={
            name.removeprefix("seconds."): round(value, 3) for name, value in logged if name.startswith("seconds.")
        },
        summary=decision.summary,
        table=evaluation_text(read_evaluation(evaluation)),
    )


def unchanged_state(config: PipelineConfig, *, trigger: str, force_retrain: bool) -> State[TrainingOutcome] | None:
    """Return the state in which a scheduled run that would repeat the last decided one ends early, or None."""
    if trigger != "schedule" or force_retrain:
        return None
    use_local_state()
    prepare_tracking_database()
    cancel_overdue_runs()
    experiment = mlflow_client().get_experiment_by_name(config.registration.experiment_name)
    decided = (
        f"params.`registration.model_name` = '{config.registration.model_name}' "
        "and attributes.status = 'FINISHED' and tags.decision != ''"
    )
    last = latest_run(experiment.experiment_id, decided) if experiment else None
    if last is None or last.data.tags.get("resume_key") != resume_key(config, digest_inputs(config)):
        return None
    tags, metrics = last.data.tags, last.data.metrics
    name, version = tags.get("model_name", ""), tags.get("model_version", "")
    if version not in {str(one.version) for one in list_versions(name)} or not is_undamaged(name, version):
        return None  # Someone deleted the version or its files: the run finds its stages and registers it again.
    run = Run(last.info.run_id, last.info.experiment_id, last.info.run_name, tags.get("data_file", ""))
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
    return Completed(name="Completed (unchanged)", message=reason, data=outcome)
