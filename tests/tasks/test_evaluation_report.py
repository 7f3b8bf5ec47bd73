"""What is told of an evaluation: names that MLflow takes, and plain words about the baseline."""

import re
from typing import Any

import pytest

from lstm_model.evaluation.record import Evaluation
from tasks.training.evaluation_report import baseline_verdict, evaluation_metrics, evaluation_text

LABEL = 'say "x" | $y$, 100 %'
PER_CLASS = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 8}


def evaluation(**changes: Any) -> Evaluation:
    """Return an evaluation with one awkward label."""
    figures = dict.fromkeys(("accuracy", "macro_f1", "log_loss", "calibration_error", "majority_accuracy"), 0.5)
    reliability = {"rows": [], "confidence": [], "accuracy": []}
    content = {
        "labels": [LABEL],
        "candidate": {**figures, "rows": 8, "per_class": {LABEL: PER_CLASS}, "confusion_matrix": [[8]],
                      "reliability": reliability},
        "guessing": {"macro_f1": 0.5},
        "intervals": {"confidence": 0.9, "accuracy": [0.4, 0.6], "macro_f1": [0.3, 0.7], "f1": {LABEL: [0.1, 0.4]}},
        "baseline": {
            "name": "TF-IDF + linear SVM", "accuracy": 0.6, "macro_f1": 0.55, "f1": {LABEL: 0.4}, "seconds": 0.1,
            "difference": {"macro_f1": -0.05, "interval": [-0.1, 0.02]},
        },
        "calibration": {"temperature": 1.0, "kept": False, "validation_log_loss": {"before": 0.5, "after": 0.5},
                        "test_calibration_error": {"before": 0.2, "after": 0.1}},
        "slices": [
            {"slice": "unknown words", "bucket": "up to 7 % unknown", "rows": 8, "accuracy": 0.5,
             "accuracy_interval": [0.2, 0.8], "macro_f1": 0.4},
        ],
        "behaviour": {
            "invariance": [
                {"change": "upper case", "rows": 4, "same_label": 3,
                 "examples": [{"text": "a", "changed": "A" * 900, "label": LABEL, "changed_label": "b"}]},
                {"change": "lower case", "rows": 0, "same_label": 0, "examples": []},
            ],
            "cases": {"file": "c.csv", "rows": 3, "passed": 2,
                      "failed": [{"text": "t", "label": LABEL, "predicted": "b", "score": 0.9}]},
        },
        "mistakes": [{"example_id": "r1", "text": "line\nbreak", "label": LABEL, "predicted": "b", "score": 0.9}],
        "label_errors": [],
        **changes,
    }  # fmt: skip
    return Evaluation.model_validate(content)


def test_mlflow_takes_every_name_and_each_figure_is_there() -> None:
    found = evaluation_metrics(evaluation())
    assert [name for name in found if not re.fullmatch(r"[\w\-. /:]{1,250}", name)] == []
    assert (found["test_macro_f1_low"], found["test_macro_f1_high"]) == (0.3, 0.7)
    assert found["slice_accuracy/unknown words/up to 7 per cent unknown"] == 0.5
    assert found["same_label/upper case"] == 0.75 and "same_label/lower case" not in found
    assert (found["cases_rows"], found["cases_passed"]) == (3, 2)
    assert found["baseline_difference"] == -0.05


def test_without_a_baseline_and_without_cases_there_is_nothing_to_say_of_them() -> None:
    found = evaluation(baseline=None, behaviour={"invariance": [], "cases": None})
    assert not [name for name in evaluation_metrics(found) if "baseline" in name or "cases" in name]
    assert "baseline" not in evaluation_text(found)


@pytest.mark.parametrize(
    ("difference", "interval", "words"),
    [
        (
            0.05,
            [0.01, 0.09],
            "The classifier beats the linear baseline: macro-F1 +0.0500 (90% interval +0.0100 to +0.09",
        ),
        (0.05, [-0.01, 0.09], "The classifier is ahead of the linear baseline, but not beyond chance: "),
        (-0.05, [-0.1, 0.02], "The classifier does not beat the linear baseline: "),
        (0.0, [0.0, 0.0], "The classifier does not beat the linear baseline: "),
        (-0.05, [-0.1, -0.02], "The classifier is worse than the linear baseline: "),
    ],
)
def test_it_is_said_plainly_whether_the_network_beats_the_baseline(
    difference: float, interval: list[float], words: str
) -> None:
    baseline = {"name": "TF-IDF + linear SVM", "accuracy": 0.6, "macro_f1": 0.55, "f1": {LABEL: 0.4},
                "difference": {"macro_f1": difference, "interval": interval}}  # fmt: skip
    judged = evaluation(baseline=baseline)
    assert baseline_verdict(judged).startswith(words)
    assert baseline_verdict(judged) in evaluation_text(judged)


def test_a_table_holds_a_row_a_line_whatever_the_label() -> None:
    awkward = "two\nlines " + "long " * 60
    found = evaluation_text(labelled({awkward: 0.5}))
    (line,) = [line for line in found.splitlines() if line.startswith("two lines long")]
    assert len(line) < 140 and "...  0.5000" in line


@pytest.mark.parametrize(("labels", "shown"), [(4, 4), (20, 20), (77, 10)])
def test_of_many_labels_the_worst_are_shown_and_where_the_rest_is(labels: int, shown: int) -> None:
    names = {f"label {number:02}": (number * 7 % labels) / 100 for number in range(labels)}
    found = evaluation_text(labelled(names))
    lines = [line.split("  ")[0] for line in found.splitlines() if line.startswith("label ") and "F1" not in line]
    worst = sorted(names, key=lambda name: names[name])[:10]
    assert lines == (list(names) if shown == labels else worst)
    assert ("the report has the other 67." in found) == (labels == 77)


def labelled(f1: dict[str, float]) -> Evaluation:
    """Return an evaluation with these labels and their F1."""
    found = evaluation(baseline=None)
    per_class = {label: {**PER_CLASS, "f1": value} for label, value in f1.items()}
    candidate = {**found.candidate.model_dump(), "per_class": per_class}
    intervals = {**found.intervals.model_dump(), "f1": {label: [0.1, 0.4] for label in f1}}
    return evaluation(labels=list(f1), candidate=candidate, intervals=intervals, baseline=None)
