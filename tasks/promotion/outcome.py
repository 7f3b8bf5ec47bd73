"""What a training run came to, for the terminal and for programs."""

from typing import Any

from pydantic import BaseModel

from lstm_model.evaluation.gate_rules import Rule
from tasks.promotion.decide_promotion import rules_table
from tasks.promotion.decision_record import Decision, Kind
from tasks.promotion.register_classifier import RegisteredVersion
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import evaluation_markdown, read_evaluation


class TrainingOutcome(BaseModel):
    """The one JSON object that `lstm-text train --json` prints."""

    run_id: str
    run_url: str
    model_name: str
    version: str
    promoted: bool
    decision: Kind
    reason: str
    champion_version: str | None
    metrics: dict[str, float]
    rows: dict[str, int]
    seconds: dict[str, float]
    rules: list[Rule]
    told: str
    table: str
    rules_table: str


def training_outcome(
    run: Run,
    examples: StageRecord,
    splits: StageRecord,
    evaluation: StageRecord,
    version: RegisteredVersion,
    decision: Decision,
) -> TrainingOutcome:
    """Gather the outcome from the stages' records and the run's metrics."""
    metrics: dict[str, Any] = mlflow_client().get_run(run.run_id).data.metrics
    seconds = {
        name.removeprefix("seconds."): round(value, 3) for name, value in metrics.items() if name.startswith("seconds.")
    }
    return TrainingOutcome(
        run_id=run.run_id,
        run_url=run.url,
        model_name=version.name,
        version=version.version,
        promoted=decision.promoted,
        decision=decision.kind,
        reason=decision.reason,
        champion_version=decision.champion_version,
        metrics=evaluation.facts["metrics"],
        rows={**splits.facts["rows"], "quarantined": examples.facts["quarantined"]},
        seconds=seconds,
        rules=decision.rules,
        told=decision.told,
        table=evaluation_markdown(read_evaluation(evaluation)),
        rules_table=rules_table(decision.rules),
    )
