"""The gate: does the new version become champion? Decided, recorded and carried out under one lock."""

from typing import Any

import mlflow
import pandas as pd

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.evaluation.gate_rules import Rule
from tasks.promotion.apply_gate import Candidate, GateResult, apply_gate, servability_rule
from tasks.promotion.check_servable import Servability
from tasks.promotion.decision_record import Decision, carry_out, decision_lock, new_decision, read_decisions
from tasks.promotion.register_classifier import RegisteredVersion
from tasks.registry.registered_model import CANDIDATE, CHAMPION, read_aliases
from tasks.runtime import tracking
from tasks.runtime.artifacts import plain_table
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, retried_task
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import read_evaluation


@tracking.timed(lambda decision: f"{decision.kind}: {decision.reason}")
@retried_task(name="decide-promotion")
def decide_promotion(
    version: RegisteredVersion,
    evaluation: StageRecord,
    splits: StageRecord,
    servable: Servability,
    promotion: PromotionConfig,
    config: EvaluationConfig,
    run: Run,
) -> Decision:
    """Give the version the alias `champion` if it deserves it; record the decision on version and run."""
    candidate = Candidate(
        name=version.name, version=version.version, servable=servable, promotion=promotion, config=config,
        evaluation=read_evaluation(evaluation),
        predictions=pd.read_parquet(evaluation.file("predictions.parquet")),
        manifest=pd.read_parquet(splits.file("splits.parquet")),
    )  # fmt: skip
    tags = mlflow_client().get_run(run.run_id).data.tags
    flow_run_id = tags.get("prefect.flow_run_id") or None
    decision = decide(candidate, run_id=run.run_id, trigger=tags.get("trigger", "manual"), flow_run_id=flow_run_id)
    tracking.log_metrics(run, {"promoted": float(decision.promoted)})
    return decision


def decide(
    candidate: Candidate, *, run_id: str, trigger: str, flow_run_id: str | None = None, note: str | None = None
) -> Decision:
    """Evaluate a version against the current champion, record the decision and move the aliases.

    A flow run that continues after a crash carries out the decision that it had made. A version of another run with a
    decision stays as it is: a rerun would otherwise evaluate again what was rejected or what a person rolled back.
    """
    name, version = candidate.name, candidate.version
    with decision_lock(name) as still_held:
        champion = read_aliases(name).get(CHAMPION)
        earlier = [one for one in read_decisions(name) if one["version"] == version] if flow_run_id else []
        if decision := _decision_of(run_id, earlier, champion):
            carry_out(decision, still_held)
            return decision
        if earlier and not candidate.servable.reason and version != champion:
            again = f"`lstm-text promote {version} --reason ...` evaluates it again"
            reason = f"nothing has changed since it was {earlier[-1]['kind']} on {earlier[-1]['time'][:10]}; {again}"
            result = GateResult("unchanged", reason, [servability_rule(candidate.servable)])
        else:
            result = apply_gate(candidate, champion)
        decision = new_decision(
            **vars(result), model_name=name, version=version, champion_before=champion,
            servability=candidate.servable.model_dump(mode="json"),
            run_id=run_id, trigger=trigger, flow_run_id=flow_run_id, note=note,
        )  # fmt: skip
        if candidate.servable.reason is None:
            mlflow_client().set_registered_model_alias(name, CANDIDATE, version)
        carry_out(decision, still_held)
    return decision


def _decision_of(run_id: str, earlier: list[dict[str, Any]], champion: str | None) -> Decision | None:
    """Return the decision that this run had recorded, unless another version has become champion since."""
    own = [one for one in earlier if one["run_id"] == run_id and one["flow_run_id"]]
    if not own:
        return None
    content = mlflow.artifacts.load_dict(f"runs:/{run_id}/decisions/{own[-1]['decision_id']}.json")
    decision = Decision.model_validate(content)
    return decision if champion in (decision.champion_before, decision.champion_version) else None


def rules_table(rules: list[Rule]) -> str:
    """Return the rules as a table for the terminal."""
    return plain_table(["rule", "verdict", "found"], [[rule.name, rule.verdict, rule.text] for rule in rules])
