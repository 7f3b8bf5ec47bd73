"""The gate: does the new version become champion? Judged and carried out under the lock, and written down."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.evaluation.evaluation import resampling_of
from lstm_model.evaluation.gate_rules import Rule
from tasks.promotion.apply_gate import Candidate, Judgement, judge_version, servability_rule
from tasks.promotion.check_servable import Servability
from tasks.promotion.decision_lock import decision_lock
from tasks.promotion.decision_record import Decision, carry_out, find_decision, new_decision, read_decisions
from tasks.promotion.register_classifier import RegisteredVersion
from tasks.registry.aliases import CANDIDATE, CHAMPION, read_aliases
from tasks.runtime import tracking
from tasks.runtime.artifacts import plain_table, run_logger
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, retried_task
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import read_evaluation


@tracking.timed
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
        name=version.name,
        version=version.version,
        evaluation=read_evaluation(evaluation),
        predictions=pd.read_parquet(evaluation.file("predictions.parquet")),
        manifest=pd.read_parquet(splits.file("splits.parquet")),
        servable=servable,
        promotion=promotion,
        resampling=resampling_of(config),
    )
    tags = mlflow_client().get_run(run.run_id).data.tags
    decision = decide(
        candidate,
        run_id=run.run_id,
        trigger=tags.get("trigger", "manual"),
        flow_run_id=tags.get("prefect.flow_run_id") or None,
    )
    tracking.log_metrics(run, {"promoted": float(decision.promoted)})
    run_logger().info("version %s %s: %s", version.version, decision.kind, decision.reason)
    return decision


def decide(candidate: Candidate, **told: Any) -> Decision:
    """Judge a version against the champion of this moment, record the decision and move the aliases.

    told: run_id, trigger, flow_run_id and note, for the record.
    """
    name, version = candidate.name, candidate.version
    with decision_lock(name) as still_held:
        champion = read_aliases(name).get(CHAMPION)
        if earlier := _decided_before(candidate, champion, still_held, **told):
            return earlier
        judgement = _judged_before(candidate, champion, **told) or judge_version(candidate, champion)
        decision = new_decision(
            kind=judgement.kind,
            model_name=name,
            version=version,
            champion_before=champion,
            reason=judgement.reason,
            rules=judgement.rules,
            comparison=judgement.comparison,
            servability=candidate.servable.model_dump(mode="json"),
            **told,
        )
        if candidate.servable.reason is None:
            mlflow_client().set_registered_model_alias(name, CANDIDATE, version)
        carry_out(decision, still_held)
    return decision


def _decided_before(
    candidate: Candidate,
    champion: str | None,
    still_held: Callable[[], None],
    *,
    run_id: str | None,
    flow_run_id: str | None = None,
    **told: Any,
) -> Decision | None:
    """Return the decision of this run if it was made before a crash or a lost answer, carried out to its end.

    Where another champion has come since, it is to be made anew.
    """
    earlier = find_decision(candidate.name, candidate.version, run_id) if run_id and flow_run_id else None
    if earlier is None or champion not in (earlier.champion_before, earlier.champion_version):
        return None
    carry_out(earlier, still_held)
    return earlier


def _judged_before(
    candidate: Candidate, champion: str | None, *, flow_run_id: str | None = None, **told: Any
) -> Judgement | None:
    """Return why a version that another run made and had judged is left as it is: nothing has changed since.

    A version that was rejected, or that a person rolled back, would otherwise be judged again by each rerun.
    """
    if flow_run_id is None or candidate.servable.reason or candidate.version == champion:
        return None
    judged = [one for one in read_decisions(candidate.name) if one["version"] == candidate.version]
    if not judged:
        return None
    again = f"`lstm-text promote {candidate.version} --reason ...` has it judged again"
    reason = f"nothing has changed since it was {judged[-1]['kind']} on {judged[-1]['time'][:10]}; {again}"
    return Judgement("unchanged", reason, [servability_rule(candidate.servable)])


def rules_table(rules: list[Rule]) -> str:
    """Return the rules as a table for the terminal."""
    return plain_table(["rule", "verdict", "found"], [[rule.name, rule.verdict, rule.text] for rule in rules])
