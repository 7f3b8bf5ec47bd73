"""What is said of answers: figures with intervals, beside the baseline and beside guessing, as JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.evaluation.evaluation import evaluate_answers, evaluate_coverage, evaluate_slices
from lstm_model.evaluation.metrics import macro_f1

LABELS = ["cat", "dog"]


def answers(rows: int = 200, **columns: object) -> pd.DataFrame:
    """Return answers of which nine in ten are right; every tenth row, a cat, is taken for a dog."""
    label = np.where(np.arange(rows) % 2 == 0, "cat", "dog")
    predicted = np.where(np.arange(rows) % 10 == 0, "dog", label)
    dog = np.where(predicted == "dog", 0.8, 0.3)
    return pd.DataFrame(
        {"label": label, "predicted": predicted, "probability_cat": 1 - dog, "probability_dog": dog, **columns}
    )


def test_intervals_hold_the_figures() -> None:
    judged = evaluate_answers(answers(), labels=LABELS, config=EvaluationConfig())
    figures, intervals = judged["candidate"], judged["intervals"]
    assert figures["accuracy"] == 0.9 and judged["baseline"] is None
    for name in ("accuracy", "macro_f1"):
        low, high = intervals[name]
        assert low < figures[name] < high
    for label, (low, high) in intervals["f1"].items():
        assert low < figures["per_class"][label]["f1"] < high
    assert list(intervals["f1"]) == LABELS
    narrow = evaluate_answers(answers(), labels=LABELS, config=EvaluationConfig(confidence=0.5))["intervals"]
    assert narrow["accuracy"][0] > intervals["accuracy"][0] and narrow["confidence"] == 0.5


@pytest.mark.parametrize(
    ("wrong", "ahead"),
    [(0.5, True), (0.0, False)],
    ids=["worse baseline", "perfect baseline"],
)
def test_the_difference_to_the_baseline_is_candidate_minus_baseline(wrong: float, ahead: bool) -> None:
    table = answers()
    flipped = np.random.default_rng(0).random(len(table)) < wrong
    table["baseline_predicted"] = np.where(flipped, "cat", table["label"])
    judged = evaluate_answers(table, labels=LABELS, config=EvaluationConfig())
    difference, (low, high) = judged["baseline"]["difference"]["macro_f1"], judged["baseline"]["difference"]["interval"]
    assert difference == judged["candidate"]["macro_f1"] - judged["baseline"]["macro_f1"]
    assert (low > 0, high < 0) == (ahead, not ahead) and low < difference < high
    assert set(judged["baseline"]["f1"]) == set(LABELS)


def test_equal_answers_differ_by_nothing_in_every_resample() -> None:
    table = answers()
    table["baseline_predicted"] = table["predicted"]
    difference = evaluate_answers(table, labels=LABELS, config=EvaluationConfig())["baseline"]["difference"]
    assert difference == {"macro_f1": 0.0, "interval": [0.0, 0.0]}


def test_guessing_gets_one_over_the_number_of_labels_and_naming_the_most_frequent_less() -> None:
    rng = np.random.default_rng(1)
    label_ids = rng.choice(3, 200_000, p=[0.7, 0.2, 0.1])
    drawn = rng.choice(3, 200_000, p=[0.7, 0.2, 0.1])
    guessed = macro_f1(label_ids=label_ids, predicted_ids=drawn, num_classes=3)
    most_frequent = macro_f1(label_ids=label_ids, predicted_ids=np.zeros_like(drawn), num_classes=3)
    assert guessed == pytest.approx(1 / 3, abs=0.005) and most_frequent < 1 / 3


def test_slices_are_by_length_by_unknown_words_and_by_the_column() -> None:
    parts = {"tokens": np.arange(200) % 40 + 1, "unknown_rate": 0.0, "slice": ["web", None] * 100}
    found = evaluate_slices(answers(**parts), labels=LABELS, config=EvaluationConfig(slice_column="source"))
    assert [(row["slice"], row["rows"]) for row in found] == [
        ("length", 50), ("length", 50), ("length", 50), ("length", 50), ("unknown words", 200),
        ("source", 100), ("source", 100),
    ]  # fmt: skip
    by_source = {row["bucket"]: row["accuracy"] for row in found if row["slice"] == "source"}
    assert by_source == {"web": pytest.approx(0.8), "(none)": 1.0}


def test_a_column_may_be_named_like_a_slice_of_ours() -> None:
    table = answers(tokens=3, unknown_rate=0.0, slice="short")
    found = evaluate_slices(table, labels=LABELS, config=EvaluationConfig(slice_column="length"))
    assert [row["bucket"] for row in found if row["slice"] == "length"] == ["3 tokens", "short"]


def test_coverage_counts_words_and_texts() -> None:
    rows = {
        "text": ["a b c", "新闻新闻新闻新闻新闻新闻新闻新闻新闻新闻", "a"],
        "tokens": [3, 1, 1],
        "unknown_rate": [1 / 3, 0, 1],
    }
    assert evaluate_coverage(pd.DataFrame(rows)) == pytest.approx({"unknown_rate": 2 / 5, "hardly_read": 2 / 3})


def test_everything_is_json() -> None:
    table = answers(tokens=3, unknown_rate=0.5)
    table["baseline_predicted"] = table["label"]
    judged = evaluate_answers(table, labels=LABELS, config=EvaluationConfig())
    slices = evaluate_slices(table, labels=LABELS, config=EvaluationConfig())
    assert json.loads(json.dumps([judged, slices])) == [judged, slices]
