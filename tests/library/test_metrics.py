"""Figures against values worked out by hand or by scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from lstm_model.metrics import calibration_error, classification_metrics, log_loss, macro_f1, reliability

LABEL_IDS = np.array([0, 0, 1, 1, 2, 2])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.5, 0.2, 0.3]]
)


def test_figures_equal_scikit_learn_s() -> None:
    figures = classification_metrics(
        label_ids=LABEL_IDS, probabilities=PROBABILITIES, labels=["a", "b", "c"], calibration_bins=10
    )
    predicted = PROBABILITIES.argmax(axis=1)
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["majority_accuracy"] == pytest.approx(2 / 6)
    assert figures["macro_f1"] == pytest.approx(sk.f1_score(LABEL_IDS, predicted, average="macro"))
    assert figures["log_loss"] == pytest.approx(sk.log_loss(LABEL_IDS, PROBABILITIES))
    assert figures["confusion_matrix"] == sk.confusion_matrix(LABEL_IDS, predicted).tolist()
    assert figures["per_class"]["a"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    table = reliability(label_ids=np.array([0, 1, 0, 0]), probabilities=probabilities, bins=10)
    assert sum(table["rows"]) == 4
    assert calibration_error(table) == pytest.approx((2 * abs(0.9 - 0.5) + 2 * abs(0.6 - 1.0)) / 4)


def test_certain_and_wrong_costs_much_but_not_infinity_and_absent_classes_count_zero() -> None:
    assert log_loss(label_ids=np.array([1]), probabilities=np.array([[1.0, 0.0]])) == pytest.approx(-np.log(1e-12))
    assert macro_f1(label_ids=np.array([0, 0]), predicted_ids=np.array([0, 0]), num_classes=2) == 0.5
