"""A registered version held against the gate's rules and the champion, who is asked now. Moves nothing."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lstm_model.classifier.classifier import Classifier
from lstm_model.config.promotion import PromotionConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.digests import digest_file
from lstm_model.errors import ModelError
from lstm_model.evaluation.bootstrap import Int, Resampling
from lstm_model.evaluation.champion_comparison import ChampionComparison, compare_with_champion, unseen_rows
from lstm_model.evaluation.gate_rules import (
    Rule,
    absolute_rules,
    champion_fails,
    comparison_sentence,
    enough_rows,
    first_failure,
    identical,
    relative_rules,
    same_labels,
)
from lstm_model.evaluation.record import Evaluation
from tasks.promotion.check_servable import Servability
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.registry.registered_model import download_version
from tasks.runs.past_run import PastRun

SERVED_FILES = ("tokenizer.json", "model.onnx", "classifier.json")


@dataclass(frozen=True)
class Candidate:
    """A registered version with all that it is judged by, the champion apart.

    predictions: a row per test row. manifest: the split of all rows.
    """

    name: str
    version: str
    evaluation: Evaluation
    predictions: pd.DataFrame
    manifest: pd.DataFrame
    servable: Servability
    promotion: PromotionConfig
    resampling: Resampling

    @property
    def force(self) -> str:
        """The command that skips the rules."""
        default = RegistrationConfig.model_fields["model_name"].default
        named = "" if self.name == default else f" --model-name {self.name}"
        return f"`lstm-text promote {self.version}{named} --force --reason ...`"


@dataclass(frozen=True)
class Judgement:
    """What the rules found. reason: why the version is rejected, or what speaks for it."""

    kind: Literal["promoted", "rejected", "unchanged"]
    reason: str
    rules: list[Rule]
    comparison: ChampionComparison | None = None


def judge_version(candidate: Candidate, champion: str | None) -> Judgement:
    """Return the judgement on a version, against the version that is champion now if there is one."""
    rules = [servability_rule(candidate.servable)]
    if candidate.servable.reason:
        return _judgement(rules)
    evaluation = candidate.evaluation
    rules += absolute_rules(evaluation, candidate.promotion)
    if champion is None:
        return _judgement(rules, good=f"first champion; test macro-F1 {evaluation.candidate.macro_f1:.4f}")
    try:
        ours, theirs = (download_version(candidate.name, version) for version in (candidate.version, champion))
        if files_of(ours) == files_of(theirs):
            rules.append(identical(champion))
            return Judgement("unchanged", f"identical: {rules[-1].text}", rules)
        asked = Classifier.load(theirs.folder)
    except ModelError as error:
        rules.append(champion_fails(champion=champion, found=error.found, force=candidate.force))
        return _judgement(rules)
    return _against_champion(candidate, theirs, asked, rules)


def _against_champion(
    candidate: Candidate, champion: RegisteredClassifier, asked: Classifier, rules: list[Rule]
) -> Judgement:
    version, labels = champion.version, candidate.evaluation.labels
    rules = [*rules, same_labels(labels, asked.labels, champion=version, force=candidate.force)]
    if rules[-1].verdict == "failed":
        return _judgement(rules)
    rows, manifest_found = _unseen(candidate, champion)
    seen = {"left_out": len(candidate.predictions) - len(rows), "manifest_found": manifest_found}
    rules.append(enough_rows(rows=len(rows), **seen, force=candidate.force, config=candidate.promotion))
    if rules[-1].verdict == "failed":
        return _judgement(rules)
    comparison = compare_with_champion(
        **_answers(rows, labels, asked),
        labels=labels,
        resampling=candidate.resampling,
        champion_version=version,
        **seen,
    )
    rules += relative_rules(comparison, candidate.promotion)
    return _judgement(rules, good=comparison_sentence(comparison), comparison=comparison)


def servability_rule(servable: Servability) -> Rule:
    """Return what the check of the registered version found, as a rule."""
    verdict = "failed" if servable.reason else "passed"
    return Rule(name="servability", verdict=verdict, text=servable.reason or "served from the registry, it answers")


def files_of(version: RegisteredClassifier) -> dict[str, str]:
    """Return the digests of the files that are served. Raises ModelError where one is missing."""
    try:
        return {name: digest_file(version.folder / name) for name in SERVED_FILES}
    except OSError as error:
        raise ModelError(
            expected=f"{', '.join(SERVED_FILES)} in {version.name} version {version.version}",
            found=f"no {error.filename}",
            remedy="The artifact store is incomplete: roll back to another version, or train again.",
        ) from None


def _judgement(rules: list[Rule], *, good: str = "", comparison: ChampionComparison | None = None) -> Judgement:
    failure = first_failure(rules)
    return Judgement("rejected" if failure else "promoted", failure or good, rules, comparison)


def _unseen(candidate: Candidate, champion: RegisteredClassifier) -> tuple[pd.DataFrame, bool]:
    """Return the test rows that neither model was trained or tuned on, and whether the champion's are known."""
    try:
        manifest = PastRun.find(champion.run_id).manifest
    except ModelError:  # The run was deleted.
        manifest = None
    manifests = [candidate.manifest] if manifest is None else [candidate.manifest, manifest]
    kept = unseen_rows(candidate.predictions["text_digest"], manifests)
    return candidate.predictions[kept], manifest is not None


def _answers(rows: pd.DataFrame, labels: list[str], champion: Classifier) -> dict[str, Int]:
    """Return int64[N] each: what is right, what the candidate answered then and what the champion answers now."""
    number = {label: place for place, label in enumerate(labels)}
    numbers = np.array([number[label] for label in champion.labels])  # The order of its labels may be another.
    return {
        "label_ids": rows["label"].map(number).to_numpy(np.int64),
        "candidate_ids": rows["predicted"].map(number).to_numpy(np.int64),
        "champion_ids": numbers[champion.predict_probabilities(rows["text"].tolist()).argmax(axis=1)],
    }
