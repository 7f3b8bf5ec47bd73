"""The gate: does the new version become champion? Decided, recorded and carried out under one lock."""

from dataclasses import dataclass
from typing import Any, Literal

import mlflow
import pandas as pd

from lstm_model.classifier.classifier import Classifier
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.digests import digest_file
from lstm_model.errors import ModelError
from lstm_model.evaluation import gate_rules
from lstm_model.evaluation.champion_comparison import ChampionComparison, compare_with_champion, unseen_rows
from lstm_model.evaluation.evaluation import resampling_of
from lstm_model.evaluation.gate_rules import Rule
from lstm_model.evaluation.metrics import ids_of
from lstm_model.evaluation.record import Evaluation
from tasks.promotion.check_servable import Servability
from tasks.promotion.decision_record import Decision, carry_out, decision_lock, new_decision, read_decisions
from tasks.registry.registered_classifier import RegisteredClassifier, RegisteredVersion
from tasks.registry.registered_model import CANDIDATE, CHAMPION, download_version, read_aliases, whole_version
from tasks.runs.past_run import PastRun
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, retried_task
from tasks.runtime.tracking import Run, log_metrics, timed
from tasks.training.evaluation_report import read_evaluation
from tasks.training.export_classifier import SERVED_FILES


@dataclass(frozen=True)
class Candidate:
    """A registered version and what the gate needs to know of it."""

    name: str
    version: str
    servable: Servability
    promotion: PromotionConfig
    config: EvaluationConfig
    evaluation: Evaluation
    predictions: pd.DataFrame  # A row per test row.
    manifest: pd.DataFrame  # The split of all rows.

    @property
    def force(self) -> str:
        """The command that skips the rules."""
        default = RegistrationConfig.model_fields["model_name"].default
        option = "" if self.name == default else f" --model-name {self.name}"
        return f"`lstm-text promote {self.version}{option} --force --reason ...`"


@dataclass(frozen=True)
class GateResult:
    """What the rules decide. reason: why the version is rejected, or what speaks for it."""

    kind: Literal["promoted", "rejected", "unchanged"]
    reason: str
    rules: list[Rule]
    comparison: ChampionComparison | None = None


@timed(lambda decision: f"{decision.kind}: {decision.reason}")
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
    log_metrics(run, {"promoted": float(decision.promoted)})
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
            result = GateResult("unchanged", reason, [candidate.servable.rule])
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


def apply_gate(candidate: Candidate, champion: str | None) -> GateResult:
    """Apply the rules to a version; move no alias. champion: the version that is champion now, if there is one."""
    rules = [candidate.servable.rule]
    if candidate.servable.reason:
        return _result(rules)
    rules += gate_rules.absolute_rules(candidate.evaluation, candidate.promotion)
    if champion is None:
        return _result(rules, good=f"first champion; test macro-F1 {candidate.evaluation.candidate.macro_f1:.4f}")
    ours = _digests(download_version(candidate.name, candidate.version))
    try:
        theirs = download_version(candidate.name, champion)
        if ours == _digests(theirs):
            text = f"its files are those of the champion, version {champion}; the alias stays"
            same = Rule(name="identical", verdict="skipped", text=text)
            return GateResult("unchanged", f"identical: {text}", [*rules, same])
        classifier = Classifier.load(theirs.folder)
    except ModelError as error:
        found = error.message.rstrip(".")
        return _result([*rules, gate_rules.champion_fails(champion=champion, found=found, force=candidate.force)])
    return _against_champion(candidate, theirs, classifier, rules)


def _against_champion(
    candidate: Candidate, champion: RegisteredClassifier, classifier: Classifier, rules: list[Rule]
) -> GateResult:
    version, labels, force = champion.version, candidate.evaluation.labels, candidate.force
    rules = [*rules, gate_rules.same_labels(labels, classifier.labels, champion=version, force=force)]
    if rules[-1].verdict == "failed":
        return _result(rules)
    rows, manifest_found = _unseen(candidate, champion)
    seen = {"left_out": len(candidate.predictions) - len(rows), "manifest_found": manifest_found}
    rules.append(gate_rules.enough_rows(rows=len(rows), **seen, force=force, config=candidate.promotion))
    if rules[-1].verdict == "failed":
        return _result(rules)
    champion_ids = ids_of(classifier.labels, labels)  # The champion may have the labels in another order.
    answers = classifier.predict_probabilities(rows["text"].tolist()).argmax(axis=1)
    comparison = compare_with_champion(
        label_ids=ids_of(rows["label"], labels), candidate_ids=ids_of(rows["predicted"], labels),
        champion_ids=champion_ids[answers], **seen,
        labels=labels, resampling=resampling_of(candidate.config), champion_version=version,
    )  # fmt: skip
    rules += gate_rules.relative_rules(comparison, candidate.promotion)
    return _result(rules, good=gate_rules.comparison_sentence(comparison), comparison=comparison)


def _digests(version: RegisteredClassifier) -> dict[str, str]:
    """Return the digests of the served files. Raises ModelError if one is missing."""
    with whole_version(version.name, version.version):
        files = [*SERVED_FILES, *(path.name for path in version.folder.glob("*.npy"))]
        return {name: digest_file(version.folder / name) for name in files}


def _result(rules: list[Rule], *, good: str = "", comparison: ChampionComparison | None = None) -> GateResult:
    failure = gate_rules.first_failure(rules)
    return GateResult("rejected" if failure else "promoted", failure or good, rules, comparison)


def _unseen(candidate: Candidate, champion: RegisteredClassifier) -> tuple[pd.DataFrame, bool]:
    """Return the test rows that neither model was trained or tuned on, and whether the champion's are known."""
    past = PastRun.get(champion.run_id)
    manifest = past.manifest if past else None
    kept = unseen_rows(candidate.predictions["text_digest"], [candidate.manifest, manifest])
    return candidate.predictions[kept], manifest is not None
