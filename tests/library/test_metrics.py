"""Figures against values worked out by hand or by scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from lstm_model.evaluation.metrics import (
    calibration_error,
    classification_metrics,
    log_loss,
    macro_f1,
    reliability,
)

LABEL_IDS = np.array([0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.3, 0.6, 0.1]], dtype=np.float32
)
# Predicted: 0, 1, 1, 1, 1.


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return label_ids int[N] and probabilities float[N, 4], rows summing to 1."""
    rows = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return rng.integers(0, draw(st.integers(1, 4)), rows), rng.dirichlet([0.5] * 4, rows)


def test_log_loss_is_the_mean_of_minus_the_logarithms() -> None:
    expected = -sum(map(math.log, (0.7, 0.4, 0.8, 0.6, 0.1))) / 5
    assert log_loss(label_ids=LABEL_IDS, probabilities=PROBABILITIES) == pytest.approx(expected, rel=1e-6)


def test_log_loss_of_certainty_is_0_when_right_and_finite_when_wrong() -> None:
    certain = np.array([[1.0, 0.0]])
    assert log_loss(label_ids=np.array([0]), probabilities=certain) == 0.0
    assert log_loss(label_ids=np.array([1]), probabilities=certain) == pytest.approx(-math.log(1e-12))


def test_confusion_counts_true_labels_in_rows() -> None:
    found = classification_metrics(
        label_ids=LABEL_IDS, probabilities=PROBABILITIES, labels=list("abc"), calibration_bins=15
    )
    assert found["confusion_matrix"] == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]


def test_macro_f1_is_the_mean_over_all_classes() -> None:
    # Class 0: precision 1, recall 1/2. Class 1: precision 1/2, recall 1. Class 2: never right.
    found = macro_f1(label_ids=LABEL_IDS, predicted_ids=PROBABILITIES.argmax(1), num_classes=3)
    assert found == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_macro_f1_counts_a_class_that_never_occurs_as_0() -> None:
    assert macro_f1(label_ids=np.array([0, 1]), predicted_ids=np.array([0, 1]), num_classes=4) == 0.5


def test_reliability_bins_hold_rows_confidence_and_accuracy() -> None:
    # Confidences 0.7, 0.5, 0.8, 0.6, 0.6; right: yes, no, yes, yes, no. Bins of width 1/4 close on the right.
    table = reliability(label_ids=LABEL_IDS, probabilities=PROBABILITIES.astype(float), bins=4)
    assert table["rows"] == [0, 1, 3, 1]
    assert table["confidence"] == pytest.approx([0, 0.5, 1.9 / 3, 0.8])
    assert table["accuracy"] == pytest.approx([0, 0, 2 / 3, 1])


def test_calibration_error_weighs_bins_by_their_rows() -> None:
    table = {"rows": [0.0, 1.0, 3.0], "confidence": [0.0, 0.5, 0.9], "accuracy": [0.0, 0.0, 1.0]}
    assert calibration_error(table) == pytest.approx((1 * 0.5 + 3 * 0.1) / 4)


def test_certainty_falls_into_the_last_bin() -> None:
    table = reliability(label_ids=np.array([0]), probabilities=np.array([[1.0, 0.0]]), bins=15)
    assert table["rows"] == [0.0] * 14 + [1.0]
    assert calibration_error(table) == 0.0


@given(predicted=predictions())
def test_figures_agree_with_scikit_learn(predicted: tuple[np.ndarray, np.ndarray]) -> None:
    label_ids, probabilities = predicted
    predicted_ids, ids = probabilities.argmax(1), [0, 1, 2, 3]
    found = classification_metrics(
        label_ids=label_ids, probabilities=probabilities, labels=list("abcd"), calibration_bins=15
    )
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(label_ids, predicted_ids))
    assert found["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(label_ids, predicted_ids, labels=ids, average="macro", zero_division=0)
    )
    assert found["log_loss"] == pytest.approx(sklearn_metrics.log_loss(label_ids, probabilities, labels=ids))
    expected = sklearn_metrics.confusion_matrix(label_ids, predicted_ids, labels=ids)
    assert found["confusion_matrix"] == expected.tolist()


@given(predicted=predictions(), bins=st.integers(2, 20))
def test_the_bins_hold_every_row_once_and_the_error_is_a_share(
    predicted: tuple[np.ndarray, np.ndarray], bins: int
) -> None:
    label_ids, probabilities = predicted
    table = reliability(label_ids=label_ids, probabilities=probabilities, bins=bins)
    assert sum(table["rows"]) == len(label_ids)
    assert 0 <= calibration_error(table) <= 1
    for place, (rows, confidence) in enumerate(zip(table["rows"], table["confidence"], strict=True)):
        assert rows == 0 or place / bins - 1e-9 <= confidence <= (place + 1) / bins + 1e-9


def test_an_evaluation_holds_every_figure_by_name() -> None:
    found = classification_metrics(
        label_ids=LABEL_IDS, probabilities=PROBABILITIES, labels=["x", "y", "z"], calibration_bins=4
    )
    assert (found["rows"], found["accuracy"], found["majority_accuracy"]) == (5, 0.6, 0.4)
    assert found["per_class"] == {
        "x": {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
        "y": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 2},
        "z": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
    }
    assert found["calibration_error"] == pytest.approx((0.5 + 3 * (2 / 3 - 1.9 / 3) + 0.2) / 5, rel=1e-5)
    assert found["confusion_matrix"] == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]
    assert set(found["reliability"]) == {"rows", "confidence", "accuracy"}
