"""The result of a training run, for the terminal and for programs."""

from pydantic import BaseModel

from lstm_model.evaluation.gate_rules import Rule
from tasks.promotion.decision_record import Decision, Kind
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import evaluation_text, read_evaluation


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
    """Gather the outcome from the stages' records and the run's metrics."""
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
