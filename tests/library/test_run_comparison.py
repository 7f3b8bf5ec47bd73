"""Two runs are compared on rows that are fair to both, and a difference counts only beyond chance."""

import numpy as np
import pandas as pd
import pytest

from lstm_model.evaluation.bootstrap import Resampling
from lstm_model.evaluation.run_comparison import compare_answers, compare_metrics, match_rows
from tests.evaluations import predictions

LABELS = ["cat", "dog", "owl"]
RESAMPLING = Resampling(rounds=300)


def rows(*texts: str, label: str = "cat") -> pd.DataFrame:
    """Return test rows; the digest of a text is the text."""
    return pd.DataFrame({"text_digest": list(texts), "label": label, "text": list(texts)})


def answered(right: list[bool], score: float | list[float] = 0.9) -> pd.DataFrame:
    """Return rows labelled cat, dog, owl in turn, answered rightly or with the next label."""
    names = [LABELS[n % 3] for n in range(len(right))]
    predicted = [name if good else LABELS[(n + 1) % 3] for n, (name, good) in enumerate(zip(names, right, strict=True))]
    table = pd.DataFrame({"text": [f"text {n}" for n in range(len(right))], "label": names, "predicted": predicted})
    table["score"] = score
    for label in LABELS:
        table[f"probability_{label}"] = np.where(table["predicted"] == label, 0.9, 0.05)
    return table


def test_rows_are_matched_by_text_whatever_their_order() -> None:
    a, b, counts = match_rows(rows("x", "y", "z"), rows("z", "w", "x"), trained_on_by_a=set(), trained_on_by_b=set())
    assert list(a["text"]) == list(b["text"]) == ["x", "z"]
    assert (counts.a, counts.b, counts.in_both, counts.compared) == (3, 3, 2, 2)


def test_copies_of_a_text_are_matched_one_by_one() -> None:
    a, b, counts = match_rows(rows("x", "x", "x"), rows("x", "x"), trained_on_by_a=set(), trained_on_by_b=set())
    assert len(a) == len(b) == counts.compared == 2


def test_rows_that_one_was_trained_on_or_that_changed_their_label_are_left_out_and_counted() -> None:
    b = pd.concat([rows("seen by a", "fair"), rows("relabelled", label="dog")])
    a, _, counts = match_rows(
        rows("seen by a", "fair", "relabelled", "only a"), b,
        trained_on_by_a={"seen by a"}, trained_on_by_b={"only a"},
    )  # fmt: skip
    assert list(a["text"]) == ["fair"]
    assert (counts.in_both, counts.trained_on, counts.relabelled, counts.compared) == (3, 1, 1, 1)
    assert (counts.a_rows_trained_on_by_b, counts.b_rows_trained_on_by_a) == (1, 1)


def test_a_run_that_is_right_where_the_other_is_wrong_is_better_beyond_chance() -> None:
    good, bad = answered([True] * 90), answered([True] * 60 + [False] * 30)
    figures, per_class = compare_metrics(good, bad, LABELS, RESAMPLING)
    accuracy = next(row for row in figures if row["name"] == "accuracy")
    assert (accuracy["a"], accuracy["b"]) == (1.0, pytest.approx(2 / 3))
    assert accuracy["difference"] == pytest.approx(1 / 3) and accuracy["interval"][0] > 0 and accuracy["beyond_chance"]
    assert [row["name"] for row in per_class] == LABELS and all(row["beyond_chance"] for row in per_class)
    turned, _ = compare_metrics(bad, good, LABELS, RESAMPLING)
    assert next(row for row in turned if row["name"] == "accuracy")["interval"][1] < 0


def test_as_many_mistakes_in_other_places_are_chance() -> None:
    one, other = answered([False] * 9 + [True] * 81), answered([True] * 81 + [False] * 9)
    figures, _ = compare_metrics(one, other, LABELS, RESAMPLING)
    accuracy = next(row for row in figures if row["name"] == "accuracy")
    assert accuracy["difference"] == 0 and accuracy["beyond_chance"] is False
    assert accuracy["interval"][0] < 0 < accuracy["interval"][1]


def test_equal_answers_differ_in_nothing() -> None:
    rows = predictions(LABELS, rows=60)
    figures, per_class = compare_metrics(rows, rows, LABELS, RESAMPLING)
    assert {row["difference"] for row in [*figures, *per_class]} == {0}
    assert {row["beyond_chance"] for row in [*figures, *per_class]} == {False, None}


def test_log_loss_and_calibration_error_have_no_interval() -> None:
    rows = predictions(LABELS, rows=60)
    figures, _ = compare_metrics(rows, rows, LABELS, RESAMPLING)
    without = {row["name"] for row in figures if row["interval"] is None}
    assert without == {"log_loss", "calibration_error"}


def test_rows_that_only_one_answers_right_come_with_the_most_confident_mistake_first() -> None:
    a = answered([True, True, True, False])
    b = answered([False, False, True, True], score=[0.6, 0.8, 0.9, 0.9])
    counts, only_a, only_b = compare_answers(a, b, shown=20)
    assert counts == {"both_right": 1, "only_a_right": 2, "only_b_right": 1, "neither_right": 0}
    assert [(row["text"], row["predicted"], row["score"]) for row in only_a] == [
        ("text 1", "owl", 0.8),
        ("text 0", "dog", 0.6),
    ]
    assert [row["text"] for row in only_b] == ["text 3"]
    assert len(compare_answers(a, b, shown=1)[1]) == 1
