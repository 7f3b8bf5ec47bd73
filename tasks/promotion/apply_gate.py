"""The gate's rules applied to a registered version, against the current champion if there is one. Moves no alias."""

from dataclasses import dataclass
from typing import Literal

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
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.registry.registered_model import download_version, whole_version
from tasks.runs.past_run import PastRun
from tasks.training.export_classifier import SERVED_FILES


@dataclass(frozen=True)
class Candidate:
    """A registered version and what the gate needs to know of it.

    predictions: a row per test row. manifest: the split of all rows.
    """

    name: str
    version: str
    servable: Servability
    promotion: PromotionConfig
    config: EvaluationConfig
    evaluation: Evaluation
    predictions: pd.DataFrame
    manifest: pd.DataFrame

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


def apply_gate(candidate: Candidate, champion: str | None) -> GateResult:
    """Apply the rules to a version. champion: the version that is champion now, if there is one."""
    rules = [servability_rule(candidate.servable)]
    if candidate.servable.reason:
        return _result(rules)
    rules += gate_rules.absolute_rules(candidate.evaluation, candidate.promotion)
    if champion is None:
        return _result(rules, good=f"first champion; test macro-F1 {candidate.evaluation.candidate.macro_f1:.4f}")
    try:
        ours, theirs = (download_version(candidate.name, version) for version in (candidate.version, champion))
        if _digests(ours) == _digests(theirs):
            same = gate_rules.identical(champion)
            return GateResult("unchanged", f"identical: {same.text}", [*rules, same])
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


def servability_rule(servable: Servability) -> Rule:
    verdict = "failed" if servable.reason else "passed"
    return Rule(name="servability", verdict=verdict, text=servable.reason or "served from the registry, it answers")


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
    try:
        manifest = PastRun.find(champion.run_id).manifest
    except ModelError:  # The run was deleted.
        manifest = None
    manifests = [candidate.manifest] if manifest is None else [candidate.manifest, manifest]
    kept = unseen_rows(candidate.predictions["text_digest"], manifests)
    return candidate.predictions[kept], manifest is not None
