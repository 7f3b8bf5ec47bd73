"""Tables to act on: sure and wrong, and labels that are probably wrong themselves."""

import numpy as np
import pandas as pd
import pytest

from lstm_model.evaluation.mistakes import confident_mistakes, label_errors, suspicious_labels


def noisy(
    *, rows: int, classes: int, flipped: float, sharpness: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return given label_ids, probabilities of a model that knows the true ones fairly well, and which were flipped."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, rows)
    logits = rng.normal(0, 1, (rows, classes))
    logits[np.arange(rows), true] += sharpness
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    flip = rng.random(rows) < flipped
    given = np.where(flip, (true + rng.integers(1, classes, rows)) % classes, true)
    return given, probabilities, flip


def test_mistakes_are_sorted_by_how_sure_the_answer_was() -> None:
    answers = pd.DataFrame(
        [("a", "one", "x", "x", 0.99), ("b", "two", "x", "y", 0.6), ("c", "three", "y", "x", 0.9)],
        columns=["example_id", "text", "label", "predicted", "score"],
    )
    assert confident_mistakes(answers)["example_id"].tolist() == ["c", "b"]


def test_nothing_wrong_gives_a_table_without_rows() -> None:
    answers = pd.DataFrame([("a", "t", "x", "x", 0.9)], columns=["example_id", "text", "label", "predicted", "score"])
    found = confident_mistakes(answers)
    assert len(found) == 0 and list(found) == ["example_id", "text", "label", "predicted", "score"]


@pytest.mark.parametrize("classes", [2, 4, 12])
def test_most_rows_that_are_found_were_flipped_and_most_flipped_ones_are_found(classes: int) -> None:
    given, probabilities, flip = noisy(rows=2_000, classes=classes, flipped=0.08, sharpness=5, seed=classes)
    found, _ = suspicious_labels(label_ids=given, probabilities=probabilities)
    assert flip[found].mean() > 0.85
    assert flip[found].sum() > 0.7 * flip.sum()
    assert flip[found[:50]].mean() > 0.98  # The likeliest come first.


def test_the_true_label_is_suggested() -> None:
    given, probabilities, flip = noisy(rows=1_000, classes=5, flipped=0.1, sharpness=6, seed=3)
    found, suggested = suspicious_labels(label_ids=given, probabilities=probabilities)
    right = suggested == probabilities[found].argmax(axis=1)
    assert right[flip[found]].mean() > 0.95 and (suggested != given[found]).all()


def test_few_labels_are_suspicious_where_none_was_flipped() -> None:
    given, probabilities, _ = noisy(rows=2_000, classes=4, flipped=0.0, sharpness=6, seed=1)
    found, _ = suspicious_labels(label_ids=given, probabilities=probabilities)
    assert len(found) < 0.01 * 2_000


def test_a_label_that_is_never_sure_is_suggested_at_a_lower_probability_than_one_that_is() -> None:
    # Rows of label 0 have 0.9 on average, rows of label 1 only 0.5: its threshold is lower.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.4, 0.6], [0.85, 0.15]])
    label_ids = np.array([0, 0, 1, 1, 0, 1])
    found, suggested = suspicious_labels(label_ids=label_ids, probabilities=probabilities)
    # Row 4 is 0.6 for label 1, over its mean of 0.38; row 5 is 0.85 for label 0, over its mean of 0.73.
    assert found.tolist() == [5, 4] and suggested.tolist() == [0, 1]


def test_a_label_without_rows_is_never_suggested() -> None:
    probabilities = np.array([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    found, suggested = suspicious_labels(label_ids=np.array([0, 0, 0]), probabilities=probabilities)
    assert found.tolist() == suggested.tolist() == []


def test_the_table_names_both_labels_with_their_probabilities() -> None:
    answers = pd.DataFrame(
        {
            "example_id": list("abcd"),
            "text": ["purr", "bark", "meow", "woof"],
            "split": ["test", "test", "validation", "test"],
            "label": ["cat", "dog", "dog", "dog"],
            "probability_cat": [0.9, 0.2, 0.95, 0.1],
            "probability_dog": [0.1, 0.8, 0.05, 0.9],
        }
    )
    assert label_errors(answers, labels=["cat", "dog"]).to_dict("records") == [
        {
            "example_id": "c", "text": "meow", "split": "validation", "label": "dog", "suggested": "cat",
            "probability_of_label": 0.05, "probability_of_suggested": 0.95,
        }
    ]  # fmt: skip
