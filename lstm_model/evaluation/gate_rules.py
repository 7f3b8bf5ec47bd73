"""The gate's rules. Each looks at figures and returns what it found, in one sentence; none knows MLflow or aliases.

servability             the registered version answers as the evaluation did
macro_f1_floor          the first four: also where there is no champion
better_than_guessing
class_floor
baseline
same_labels             the rest: against the champion
champion_answers
enough_rows
class_drop
not_worse_than_champion
identical               not a rule to pass: an identical model leaves the alias where it is
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from lstm_model.config.promotion import PromotionConfig
from lstm_model.evaluation.champion_comparison import ChampionComparison
from lstm_model.evaluation.record import Evaluation

Verdict = Literal["passed", "failed", "warned", "skipped"]


class Rule(BaseModel):
    """What one rule found. figure and threshold: what was compared, where it is one number each."""

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict
    figure: float | None = None
    threshold: float | None = None
    text: str


def first_failure(rules: Sequence[Rule]) -> str | None:
    """Return the reason for a rejection: name and sentence of the first failed rule; None where none failed."""
    return next((f"{rule.name}: {rule.text}" for rule in rules if rule.verdict == "failed"), None)


def absolute_rules(evaluation: Evaluation, config: PromotionConfig) -> list[Rule]:
    """Return the rules that need no champion."""
    return [
        macro_f1_floor(evaluation, config),
        better_than_guessing(evaluation, config),
        class_floor(evaluation, config),
        baseline(evaluation, config),
    ]


def relative_rules(comparison: ChampionComparison, config: PromotionConfig) -> list[Rule]:
    """Return the rules on figures of candidate and champion."""
    return [class_drop(comparison, config), not_worse_than_champion(comparison, config)]


def macro_f1_floor(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """The macro-F1 on all test rows is at least min_macro_f1."""
    figure, floor = evaluation.candidate.macro_f1, config.min_macro_f1
    passed = figure >= floor
    text = f"test macro-F1 {figure:.4f} is {'not ' if passed else ''}below the floor of {floor:.4f}"
    return Rule(name="macro_f1_floor", verdict=_verdict(passed), figure=figure, threshold=floor, text=text)


def better_than_guessing(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """The lower end of the interval of macro-F1 lies above what guessing gets."""
    low, guessing = evaluation.intervals.macro_f1[0], evaluation.guessing.macro_f1
    passed = low > guessing
    where = "above" if passed else "not above"
    text = f"the interval of macro-F1 begins at {low:.4f}, {where} the {guessing:.4f} that guessing gets"
    verdict: Verdict = _verdict(passed) if config.beat_guessing else "skipped"
    return Rule(name="better_than_guessing", verdict=verdict, figure=low, threshold=guessing, text=text)


def class_floor(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """No class with enough test rows has an F1 below its floor. A floor of a label that there is not fails.

    It fails rather than stops the run: the training is paid for, and a mended setting finds it in the stage store.
    """
    name, classes = "class_floor", evaluation.candidate.per_class
    unknown = sorted(set(config.class_floors) - set(classes))
    if unknown:
        text = f"promotion.class_floors names {_names(unknown)}, which no row is labelled; there are {_names(classes)}"
        return Rule(name=name, verdict="failed", text=text)
    judged = [label for label, metrics in classes.items() if metrics.support >= config.min_class_rows]
    few = _few([label for label in classes if label not in judged], config)
    if not judged:
        return Rule(name=name, verdict="skipped", text=f"no class is judged by itself{few}")
    floors = {label: config.class_floors.get(label, config.min_class_f1) for label in judged}
    worst = min(judged, key=lambda label: classes[label].f1 - floors[label])
    figure, floor = classes[worst].f1, floors[worst]
    passed = figure >= floor
    text = f"F1 {figure:.4f} of {worst!r} is {'not ' if passed else ''}below its floor of {floor:.4f}{few}"
    return Rule(name=name, verdict=_verdict(passed), figure=figure, threshold=floor, text=text)


def baseline(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """The network is better than the linear baseline of the same rows; promotion.baseline says what follows if not."""
    name, found = "baseline", evaluation.baseline
    if found is None:
        verdict: Verdict = "failed" if config.baseline == "require" else "skipped"
        return Rule(name=name, verdict=verdict, threshold=0.0, text="no baseline was fitted (evaluation.baseline)")
    ours, difference = evaluation.candidate.macro_f1, found.difference.macro_f1
    low, high = found.difference.interval
    better = difference > 0
    text = (
        f"macro-F1 {ours:.4f} {'is more than' if better else 'does not beat'} the {found.macro_f1:.4f} of "
        f"{found.name}; difference {_signed(difference, low, high)}"
    )
    lost: dict[str, Verdict] = {"ignore": "skipped", "warn": "warned", "require": "failed"}
    return Rule(
        name=name,
        verdict="passed" if better else lost[config.baseline],
        figure=difference,
        threshold=0.0,
        text=text,
    )


def same_labels(labels: Sequence[str], champion_labels: Sequence[str], *, champion: str, force: str) -> Rule:
    """Candidate and champion know the same labels, in whatever order. force: the command that skips the rules."""
    ours, theirs = set(labels), set(champion_labels)
    if ours == theirs:
        return Rule(
            name="same_labels", verdict="passed", text=f"the labels are those of the champion, version {champion}"
        )
    parts = [
        f"{who} knows {_names(only)}"
        for who, only in (("only it", ours - theirs), ("only the champion", theirs - ours))
        if only
    ]
    text = (
        f"the labels differ from those of the champion, version {champion}: {', '.join(parts)}; no row can compare "
        f"them, so it needs {force}"
    )
    return Rule(name="same_labels", verdict="failed", text=text)


def champion_fails(*, champion: str, found: str, force: str) -> Rule:
    """The champion cannot be asked, so nothing can be compared."""
    text = f"the champion, version {champion}, cannot be asked ({found}); {force} replaces it"
    return Rule(name="champion_answers", verdict="failed", text=text)


def enough_rows(*, rows: int, left_out: int, manifest_found: bool, force: str, config: PromotionConfig) -> Rule:
    """Enough test rows remain that neither model has seen."""
    least = config.min_compared_rows
    passed = rows >= least
    text = f"{rows:,} test rows are unseen by candidate and champion, {left_out:,} left out"
    if not manifest_found:
        text = f"{rows:,} test rows; which rows the champion was trained on is not known, which favours it"
    if not passed:
        text += f"; promotion.min_compared_rows asks for {least:,}: add new labelled rows, lower it, or use {force}"
    return Rule(name="enough_rows", verdict=_verdict(passed), figure=rows, threshold=least, text=text)


def class_drop(comparison: ChampionComparison, config: PromotionConfig) -> Rule:
    """No class with enough compared rows has an F1 that is lower than the champion's by more than allowed."""
    name, most, rows = "class_drop", config.max_class_f1_drop, comparison.class_rows
    judged = [label for label in rows if rows[label] >= config.min_class_rows]
    few = _few([label for label in rows if label not in judged], config)
    if not judged:
        return Rule(name=name, verdict="skipped", text=f"no class is compared by itself{few}")
    worst = min(judged, key=lambda label: comparison.difference.f1[label])
    change = comparison.difference.f1[worst]
    passed = change >= -most
    text = (
        f"F1 of {worst!r} goes from {comparison.champion.f1[worst]:.4f} to {comparison.candidate.f1[worst]:.4f} "
        f"({change:+.4f}); a drop of {most:.4f} is allowed{few}"
    )
    return Rule(name=name, verdict=_verdict(passed), figure=change, threshold=-most, text=text)


def not_worse_than_champion(comparison: ChampionComparison, config: PromotionConfig) -> Rule:
    """Worse is a candidate whose whole interval of the difference in macro-F1 lies below the allowed drop."""
    difference, most = comparison.difference, config.max_macro_f1_drop
    passed = difference.interval[1] >= -most
    text = f"{comparison_sentence(comparison)}: {'not ' if passed else ''}worse beyond chance"
    if most:
        text += f" and the {most:.4f} allowed"
    return Rule(
        name="not_worse_than_champion",
        verdict=_verdict(passed),
        figure=difference.interval[1],
        threshold=-most,
        text=text,
    )


def identical(champion: str) -> Rule:
    """The candidate's files are the champion's: nothing would change for anyone."""
    text = f"its files are those of the champion, version {champion}; the alias stays"
    return Rule(name="identical", verdict="skipped", text=text)


def comparison_sentence(comparison: ChampionComparison) -> str:
    """Return both figures, the difference and its interval."""
    ours, theirs, difference = comparison.candidate, comparison.champion, comparison.difference
    return (
        f"macro-F1 {ours.macro_f1:.4f} against {theirs.macro_f1:.4f} of the champion, version "
        f"{comparison.champion_version}, on {comparison.rows:,} rows; difference "
        f"{_signed(difference.macro_f1, *difference.interval)}"
    )


def _verdict(passed: bool) -> Verdict:
    return "passed" if passed else "failed"


def _signed(value: float, low: float, high: float) -> str:
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f})"


def _names(labels: Sequence[str] | Mapping[str, Any] | set[str]) -> str:
    shown = sorted(labels)[:5]
    return ", ".join(map(repr, shown)) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


def _few(labels: Sequence[str], config: PromotionConfig) -> str:
    return f"; fewer than {config.min_class_rows} rows: {_names(labels)}" if labels else ""
