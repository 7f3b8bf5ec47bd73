"""The gate's rules, each passing and failing, on figures and arrays small enough to check by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_model.config.promotion import PromotionConfig
from lstm_model.evaluation.bootstrap import Resampling
from lstm_model.evaluation.champion_comparison import ChampionComparison, compare_with_champion, unseen_rows
from lstm_model.evaluation.gate_rules import (
    Rule,
    absolute_rules,
    baseline,
    better_than_guessing,
    champion_fails,
    class_drop,
    class_floor,
    enough_rows,
    first_failure,
    macro_f1_floor,
    not_worse_than_champion,
    relative_rules,
    same_labels,
)
from lstm_model.evaluation.record import Evaluation

LABELS = ["cat", "dog"]
FORCE = "`lstm-text promote 2 --force --reason ...`"


def evaluation(
    *,
    cat: float = 0.8,
    dog: float = 0.6,
    rows: int | dict[str, int] = 30,
    low: float = 0.55,
    beaten_by: float | None = None,
) -> Evaluation:
    """An evaluation in which only what the rules read has a meaning. beaten_by: how much better the baseline is."""
    supports = rows if isinstance(rows, dict) else {"cat": rows, "dog": rows}
    classes = {
        label: {"precision": 0, "recall": 0, "f1": f1, "support": supports[label]}
        for label, f1 in (("cat", cat), ("dog", dog))
    }
    unread = {"accuracy": 0, "majority_accuracy": 0, "log_loss": 0, "calibration_error": 0, "rows": 0}
    reliability = {"rows": [], "confidence": [], "accuracy": []}
    difference = (
        None if beaten_by is None else {"macro_f1": -beaten_by, "interval": [-beaten_by - 0.1, -beaten_by + 0.1]}
    )
    content = {
        "labels": LABELS,
        "candidate": {**unread, "macro_f1": (cat + dog) / 2, "per_class": classes, "confusion_matrix": [],
                      "reliability": reliability},
        "intervals": {"confidence": 0.95, "accuracy": [0, 1], "macro_f1": [low, 0.9], "f1": {}},
        "guessing": {"macro_f1": 0.5},
        "baseline": difference and {"name": "TF-IDF", "accuracy": 0, "f1": {}, "macro_f1": 0.7 + beaten_by,
                                    "difference": difference},
    }  # fmt: skip
    return Evaluation.model_validate(content)


def comparison(candidate: list[int], champion: list[int], label_ids: list[int], times: int = 10) -> ChampionComparison:
    """The rows, `times` over: the figures stay, the intervals become narrow."""
    return compare_with_champion(
        label_ids=np.tile(label_ids, times),
        candidate_ids=np.tile(candidate, times),
        champion_ids=np.tile(champion, times),
        labels=LABELS,
        resampling=Resampling(rounds=500, seed=1),
        champion_version="1",
        left_out=0,
        manifest_found=True,
    )


def judged(rule: Rule) -> tuple[str, float | None, float | None]:
    return rule.verdict, rule.figure, rule.threshold


def test_the_floor_of_macro_f1() -> None:
    low, high = PromotionConfig(min_macro_f1=0.71), PromotionConfig(min_macro_f1=0.7)
    assert judged(macro_f1_floor(evaluation(), high)) == ("passed", 0.7, 0.7)
    failed = macro_f1_floor(evaluation(), low)
    assert judged(failed) == ("failed", 0.7, 0.71)
    assert failed.text == "test macro-F1 0.7000 is below the floor of 0.7100"


@pytest.mark.parametrize(("low", "verdict"), [(0.51, "passed"), (0.5, "failed"), (0.4, "failed")])
def test_the_interval_must_lie_above_guessing(low: float, verdict: str) -> None:
    assert judged(better_than_guessing(evaluation(low=low), PromotionConfig())) == (verdict, low, 0.5)


def test_guessing_does_not_matter_where_it_is_switched_off() -> None:
    assert better_than_guessing(evaluation(low=0.1), PromotionConfig(beat_guessing=False)).verdict == "skipped"


def test_no_class_is_below_its_floor() -> None:
    assert judged(class_floor(evaluation(dog=0.04), PromotionConfig())) == ("failed", 0.04, 0.05)
    assert judged(class_floor(evaluation(dog=0.06), PromotionConfig())) == ("passed", 0.06, 0.05)
    own = PromotionConfig(class_floors={"cat": 0.9})
    assert judged(class_floor(evaluation(), own)) == ("failed", 0.8, 0.9)  # cat's own floor; dog has the general one.


def test_a_class_with_few_rows_is_not_judged_and_named() -> None:
    rule = class_floor(evaluation(cat=0.8, dog=0.0, rows={"cat": 30, "dog": 19}), PromotionConfig())
    assert rule.verdict == "passed" and rule.text.endswith("; fewer than 20 rows: 'dog'")
    assert class_floor(evaluation(rows=19), PromotionConfig()).verdict == "skipped"


def test_a_floor_of_a_label_that_no_row_has_fails_and_names_the_labels() -> None:
    rule = class_floor(evaluation(), PromotionConfig(class_floors={"owl": 0.5}))
    assert rule.verdict == "failed" and "'owl'" in rule.text and "there are 'cat', 'dog'" in rule.text


@pytest.mark.parametrize(
    ("setting", "beaten_by", "verdict"),
    [
        ("warn", -0.1, "passed"),
        ("warn", 0.1, "warned"),
        ("warn", 0.0, "warned"),
        ("require", 0.1, "failed"),
        ("require", -0.1, "passed"),
        ("ignore", 0.1, "skipped"),
        ("warn", None, "skipped"),
        ("require", None, "failed"),
    ],
)
def test_the_baseline_is_ignored_warned_of_or_required(setting: Any, beaten_by: float | None, verdict: str) -> None:
    rule = baseline(evaluation(beaten_by=beaten_by), PromotionConfig(baseline=setting))
    assert rule.verdict == verdict
    if verdict == "warned":
        assert "does not beat" in rule.text and "TF-IDF" in rule.text


def test_labels_are_compared_as_sets() -> None:
    assert same_labels(["cat", "dog"], ["dog", "cat"], champion="1", force=FORCE).verdict == "passed"
    rule = same_labels(["cat", "dog"], ["cat", "owl"], champion="1", force=FORCE)
    assert rule.verdict == "failed" and FORCE in rule.text
    assert "only it knows 'dog'" in rule.text and "only the champion knows 'owl'" in rule.text


@pytest.mark.parametrize(("rows", "verdict"), [(50, "passed"), (49, "failed"), (0, "failed")])
def test_enough_rows_must_remain(rows: int, verdict: str) -> None:
    rule = enough_rows(rows=rows, left_out=7, manifest_found=True, force=FORCE, config=PromotionConfig())
    assert judged(rule) == (verdict, rows, 50)
    assert rule.text.startswith(f"{rows} test rows are unseen") and "7 left out" in rule.text
    assert (FORCE in rule.text) == (verdict == "failed")


def test_a_champion_whose_rows_are_not_known_is_told() -> None:
    rule = enough_rows(rows=60, left_out=0, manifest_found=False, force=FORCE, config=PromotionConfig())
    assert rule.verdict == "passed" and "which favours it" in rule.text


def test_a_class_may_not_fall_by_more_than_allowed() -> None:
    # Right: 10 cats, 10 dogs. The champion errs on one cat, the candidate on four cats.
    label_ids = [0] * 10 + [1] * 10
    champion = [1] + [0] * 9 + [1] * 10
    candidate = [1] * 4 + [0] * 6 + [1] * 10
    found = comparison(candidate, champion, label_ids)
    assert found.champion.f1["cat"] == pytest.approx(18 / 19) and found.candidate.f1["cat"] == pytest.approx(12 / 16)
    rule = class_drop(found, PromotionConfig(max_class_f1_drop=0.19))
    assert judged(rule) == ("failed", pytest.approx(12 / 16 - 18 / 19), -0.19) and "'cat'" in rule.text
    assert class_drop(found, PromotionConfig(max_class_f1_drop=0.2)).verdict == "passed"
    assert class_drop(found, PromotionConfig(min_class_rows=101)).verdict == "skipped"


def test_worse_than_the_champion_is_what_chance_does_not_explain() -> None:
    label_ids = [0, 0, 0, 0, 1, 1, 1, 1]
    right, one_wrong, half_wrong = label_ids, [1, 0, 0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 1, 1]
    better = comparison(right, half_wrong, label_ids)
    worse = comparison(half_wrong, right, label_ids)
    few = comparison(one_wrong, right, label_ids, times=1)
    assert better.difference.interval == pytest.approx([-end for end in reversed(worse.difference.interval)])
    assert not_worse_than_champion(better, PromotionConfig()).verdict == "passed"
    assert not_worse_than_champion(worse, PromotionConfig()).verdict == "failed"
    assert not_worse_than_champion(worse, PromotionConfig(max_macro_f1_drop=0.7)).verdict == "passed"
    assert few.difference.macro_f1 < 0  # One of eight rows: within chance.
    assert not_worse_than_champion(few, PromotionConfig()).verdict == "passed"


def test_figures_of_a_comparison_are_those_of_each_model_on_the_same_rows() -> None:
    found = comparison([0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1], times=1)
    assert found.candidate.accuracy == found.champion.accuracy == 0.75
    assert found.candidate.f1 == pytest.approx({"cat": 2 / 3, "dog": 4 / 5})
    assert found.champion.f1 == pytest.approx({"cat": 4 / 5, "dog": 2 / 3})
    assert found.difference.macro_f1 == pytest.approx(0) and found.class_rows == {"cat": 2, "dog": 2}
    assert found.difference.f1["cat"] == pytest.approx(2 / 3 - 4 / 5)


def test_rows_in_the_train_or_validation_part_of_either_model_are_left_out() -> None:
    ours = pd.DataFrame({"text_digest": ["a", "b", "c", "d"], "split": ["test", "test", "train", "test"]})
    theirs = pd.DataFrame({"text_digest": ["a", "b", "d", "z"], "split": ["train", "test", "validation", "left_out"]})
    digests = pd.Series(["a", "b", "d", "z"])
    assert unseen_rows(digests, [ours, theirs]).tolist() == [False, True, False, True]
    assert unseen_rows(digests, [ours]).tolist() == [True] * 4


def test_the_reason_is_the_first_failed_rule_with_its_name() -> None:
    found = relative_rules(comparison([1, 1], [0, 1], [0, 1]), PromotionConfig(min_class_rows=1))
    rules = [*absolute_rules(evaluation(), PromotionConfig()), *found]
    reason = first_failure(rules)
    assert reason is not None and reason.startswith("class_drop: F1 of 'cat' goes from 1.0000 to 0.0000")
    assert [rule.name for rule in rules] == [
        "macro_f1_floor",
        "better_than_guessing",
        "class_floor",
        "baseline",
        "class_drop",
        "not_worse_than_champion",
    ]
    assert first_failure(absolute_rules(evaluation(beaten_by=0.1), PromotionConfig())) is None  # A warning rejects not.


@pytest.mark.parametrize(("share", "verdict"), [(0.4, "passed"), (0.05, "passed"), (0.01, "warned")])
def test_an_lstm_that_counts_for_next_to_nothing_is_warned_of(share: float, verdict: str) -> None:
    parts = {"lstm": {"share": share, "accuracy": 0.5, "macro_f1": 0.41234},
             "ngrams": {"share": 1 - share, "accuracy": 0.6, "macro_f1": 0.6}}  # fmt: skip
    mixed = Evaluation.model_validate({**evaluation().model_dump(), "parts": parts})
    *_, rule = absolute_rules(mixed, PromotionConfig())
    assert (rule.name, rule.verdict) == ("lstm_share", verdict) and "(macro-F1 alone 0.4123)" in rule.text


@pytest.mark.parametrize(
    ("unknown", "hardly", "verdict", "words"),
    [
        (0.5, 0.5, "passed", "50.0% of the words in test rows are unknown; 50.0% are allowed"),
        (0.501, 0.2, "failed", "50.1% of the words"),
        (0.1, 0.51, "warned", "51% of the texts are mostly unknown or one long word"),
        (0.9, 0.9, "failed", "90% of the texts are mostly unknown or one long word"),
    ],
)
def test_texts_that_the_tokenizer_does_not_read(unknown: float, hardly: float, verdict: str, words: str) -> None:
    coverage = {"unknown_rate": unknown, "hardly_read": hardly}
    blind = Evaluation.model_validate({**evaluation().model_dump(), "coverage": coverage})
    [rule] = [rule for rule in absolute_rules(blind, PromotionConfig()) if rule.name == "known_words"]
    assert rule.verdict == verdict and words in rule.text and rule.figure == unknown
    allowed = absolute_rules(blind, PromotionConfig(max_unknown_rate=1))
    assert not [rule for rule in allowed if rule.name == "known_words" and rule.verdict == "failed"]


def test_a_champion_that_cannot_be_asked_rejects_with_the_way_out() -> None:
    rule = champion_fails(champion="1", found="no model.onnx", force=FORCE)
    assert rule.verdict == "failed" and "no model.onnx" in rule.text and FORCE in rule.text
