"""The gate's rules. Each checks metrics and returns its result with one sentence; none uses MLflow or aliases."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from lstm_model.config.promotion import PromotionConfig
from lstm_model.evaluation.champion_comparison import ChampionComparison
from lstm_model.evaluation.record import SMALL_SHARE, Coverage, Evaluation, MacroF1Difference, Record
from lstm_model.tokens.tokenizer import MOST_HARDLY_READ

Verdict = Literal["passed", "failed", "warned", "skipped"]
BEATEN_BY_BASELINE: dict[str, Verdict] = {"ignore": "skipped", "warn": "warned", "require": "failed"}


class Rule(Record):
    name: str
    verdict: Verdict
    figure: float | None = None  # Compared with the threshold.
    threshold: float | None = None
    text: str


def first_failure(rules: Sequence[Rule]) -> str | None:
    """Return the reason for a rejection: name and sentence of the first failed rule; None if all passed."""
    return next((f"{rule.name}: {rule.text}" for rule in rules if rule.verdict == "failed"), None)


def absolute_rules(evaluation: Evaluation, config: PromotionConfig) -> list[Rule]:
    """Return the results of the rules that need no champion."""
    rules = [rule(evaluation, config) for rule in (macro_f1_floor, better_than_guessing, class_floor, baseline)]
    if evaluation.coverage:
        rules.insert(3, known_words(evaluation.coverage, config))
    return [*rules, lstm_share(evaluation)] if "ngrams" in evaluation.parts else rules


def relative_rules(comparison: ChampionComparison, config: PromotionConfig) -> list[Rule]:
    """Return the results of the rules on metrics of candidate and champion."""
    return [class_drop(comparison, config), not_worse_than_champion(comparison, config)]


def macro_f1_floor(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """The macro-F1 on all test rows is at least min_macro_f1."""
    macro_f1, floor = evaluation.candidate.macro_f1, config.min_macro_f1
    passed = macro_f1 >= floor
    text = f"test macro-F1 {macro_f1:.4f} is {'not ' if passed else ''}below the floor of {floor:.4f}"
    return _compared("macro_f1_floor", passed, text, macro_f1, floor)


def better_than_guessing(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """The lower end of the interval of macro-F1 is above the macro-F1 of guessing."""
    low, guessing = evaluation.intervals.macro_f1[0], evaluation.guessing.macro_f1
    where = "above" if low > guessing else "not above"
    text = f"the interval of macro-F1 starts at {low:.4f}, {where} the {guessing:.4f} of guessing"
    rule = _compared("better_than_guessing", low > guessing, text, low, guessing)
    return rule if config.beat_guessing else rule.model_copy(update={"verdict": "skipped"})


def class_floor(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """No class with enough test rows has an F1 below its floor."""
    name, classes = "class_floor", evaluation.candidate.per_class
    unknown = sorted(set(config.class_floors) - set(classes))
    if unknown:  # This fails the rule and not the run: a run with the fixed setting reuses the training.
        text = f"promotion.class_floors has {_names(unknown)}, a label of no row; there are {_names(classes)}"
        return Rule(name=name, verdict="failed", text=text)
    enough, few = _enough({label: metrics.support for label, metrics in classes.items()}, config)
    if not enough:
        return Rule(name=name, verdict="skipped", text=f"no class has enough rows{few}")
    floors = {label: config.class_floors.get(label, config.min_class_f1) for label in enough}
    worst = min(enough, key=lambda label: classes[label].f1 - floors[label])
    f1, floor = classes[worst].f1, floors[worst]
    passed = f1 >= floor
    text = f"F1 {f1:.4f} of {worst!r} is {'not ' if passed else ''}below its floor of {floor:.4f}{few}"
    return _compared(name, passed, text, f1, floor)


def known_words(coverage: Coverage, config: PromotionConfig) -> Rule:
    """The vocabulary has enough of the test rows' words; a warning where it reads most texts hardly at all."""
    unknown, most = coverage.unknown_rate, config.max_unknown_rate
    text = f"{unknown:.1%} of the words in test rows are unknown; {most:.1%} are allowed"
    if coverage.hardly_read > MOST_HARDLY_READ:
        text += f"; {coverage.hardly_read:.0%} of the texts are mostly unknown or one long word"
    rule = _compared("known_words", unknown <= most, text, unknown, most)
    warned = rule.verdict == "passed" and coverage.hardly_read > MOST_HARDLY_READ
    return rule.model_copy(update={"verdict": "warned"}) if warned else rule


def baseline(evaluation: Evaluation, config: PromotionConfig) -> Rule:
    """The classifier beats the linear baseline on the same rows; promotion.baseline sets what follows if not."""
    linear = evaluation.baseline
    if linear is None:
        verdict: Verdict = "failed" if config.baseline == "require" else "skipped"
        text = "no baseline was fitted (evaluation.baseline)"
        return Rule(name="baseline", verdict=verdict, threshold=0.0, text=text)
    ours, difference = evaluation.candidate.macro_f1, linear.difference.macro_f1
    relation = f"{'is more than' if difference > 0 else 'does not beat'} the {linear.macro_f1:.4f} of {linear.name}"
    text = f"macro-F1 {ours:.4f} {relation}; {_difference(linear.difference)}"
    return _compared("baseline", difference > 0, text, difference, 0.0, bad=BEATEN_BY_BASELINE[config.baseline])


def lstm_share(evaluation: Evaluation) -> Rule:
    """The LSTM counts in the mixture with n-grams; a warning if not, since simpler models then do its work."""
    lstm, ngrams = evaluation.parts["lstm"], evaluation.parts["ngrams"]
    text = (
        f"the LSTM has {lstm.share:.0%} of the answer (macro-F1 alone {lstm.macro_f1:.4f}), n-grams {ngrams.share:.0%} "
        f"({ngrams.macro_f1:.4f})"
    )
    return _compared("lstm_share", lstm.share >= SMALL_SHARE, text, lstm.share, SMALL_SHARE, bad="warned")


def same_labels(labels: Sequence[str], champion_labels: Sequence[str], *, champion: str, force: str) -> Rule:
    """Candidate and champion know the same labels, in any order. force: the command that skips the rules."""
    only = {"only it": set(labels) - set(champion_labels), "only the champion": set(champion_labels) - set(labels)}
    differences = ", ".join(f"{who} knows {_names(names)}" for who, names in only.items() if names)
    if not differences:
        text = f"the labels are those of the champion, version {champion}"
        return Rule(name="same_labels", verdict="passed", text=text)
    text = f"the champion, version {champion}, has other labels: {differences}; to promote without comparison: {force}"
    return Rule(name="same_labels", verdict="failed", text=text)


def champion_fails(*, champion: str, found: str, force: str) -> Rule:
    """The champion cannot answer, so there is nothing to compare."""
    text = f"the champion, version {champion}, cannot answer ({found}); {force} replaces it"
    return Rule(name="champion_answers", verdict="failed", text=text)


def enough_rows(*, rows: int, left_out: int, manifest_found: bool, force: str, config: PromotionConfig) -> Rule:
    """Enough test rows remain that neither model has seen."""
    least = config.min_compared_rows
    text = f"{rows:,} test rows are unseen by candidate and champion, {left_out:,} left out"
    if not manifest_found:
        text = f"{rows:,} test rows; the champion's training rows are unknown, which favours it"
    if rows < least:
        text += f"; promotion.min_compared_rows is {least:,}: add new labelled rows, lower it, or use {force}"
    return _compared("enough_rows", rows >= least, text, rows, least)


def class_drop(comparison: ChampionComparison, config: PromotionConfig) -> Rule:
    """No class with enough compared rows has an F1 that is lower than the champion's by more than allowed."""
    name, most, changes = "class_drop", config.max_class_f1_drop, comparison.difference.f1
    enough, few = _enough(comparison.class_rows, config)
    if not enough:
        return Rule(name=name, verdict="skipped", text=f"no class has enough rows{few}")
    worst = min(enough, key=lambda label: changes[label])
    text = (
        f"F1 of {worst!r} goes from {comparison.champion.f1[worst]:.4f} to {comparison.candidate.f1[worst]:.4f} "
        f"({changes[worst]:+.4f}); a drop of {most:.4f} is allowed{few}"
    )
    return _compared(name, changes[worst] >= -most, text, changes[worst], -most)


def not_worse_than_champion(comparison: ChampionComparison, config: PromotionConfig) -> Rule:
    """The interval of the difference in macro-F1 is not entirely below the allowed drop."""
    high, most = comparison.difference.interval[1], config.max_macro_f1_drop
    worse = "worse" if high < -most else "not worse"
    allowed = f" and the {most:.4f} allowed" if most else ""
    text = f"{comparison_sentence(comparison)}: {worse} beyond chance{allowed}"
    return _compared("not_worse_than_champion", high >= -most, text, high, -most)


def comparison_sentence(comparison: ChampionComparison) -> str:
    """Return both macro-F1, the difference and its interval."""
    ours, theirs = comparison.candidate.macro_f1, comparison.champion.macro_f1
    champion = f"{theirs:.4f} of the champion, version {comparison.champion_version}"
    return f"macro-F1 {ours:.4f} against {champion}, on {comparison.rows:,} rows; {_difference(comparison.difference)}"


def _compared(name: str, passed: bool, text: str, figure: float, threshold: float, bad: Verdict = "failed") -> Rule:
    return Rule(name=name, verdict="passed" if passed else bad, figure=figure, threshold=threshold, text=text)


def _enough(rows: Mapping[str, int], config: PromotionConfig) -> tuple[list[str], str]:
    """Return the labels with enough rows, and a text about the others."""
    few = [label for label in rows if rows[label] < config.min_class_rows]
    text = f"; fewer than {config.min_class_rows} rows: {_names(few)}" if few else ""
    return [label for label in rows if label not in few], text


def _difference(difference: MacroF1Difference) -> str:
    low, high = difference.interval
    return f"difference {difference.macro_f1:+.4f} ({low:+.4f} to {high:+.4f})"


def _names(labels: Iterable[str]) -> str:
    names = sorted(labels)
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
