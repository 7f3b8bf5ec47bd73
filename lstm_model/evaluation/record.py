"""The content of evaluation.json: written by the evaluation stage, read by gate, report, model card and comparison."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from lstm_model.evaluation.bootstrap import Interval


class Record(BaseModel):
    """A part of a JSON file."""

    model_config = ConfigDict(frozen=True)


class ClassMetrics(Record):
    precision: float
    recall: float
    f1: float
    support: int


class Reliability(Record):
    """Per bin of equal width: rows, mean confidence and accuracy of the predicted label."""

    rows: list[float]
    confidence: list[float]
    accuracy: list[float]


class Metrics(Record):
    """The result of `metrics.classification_metrics`."""

    accuracy: float
    majority_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    rows: int
    per_class: dict[str, ClassMetrics]
    confusion_matrix: list[list[int]]
    reliability: Reliability


class Intervals(Record):
    """Percentile intervals from resampled test rows; confidence: their level."""

    confidence: float
    accuracy: Interval
    macro_f1: Interval
    f1: dict[str, Interval]


class MacroF1(Record):
    macro_f1: float


class MacroF1Difference(MacroF1):
    """A difference of two models and its paired interval."""

    interval: Interval


class Baseline(Record):
    """The linear baseline on the same test rows; seconds: to fit and predict; difference: candidate - baseline."""

    name: str
    accuracy: float
    macro_f1: float
    f1: dict[str, float]
    difference: MacroF1Difference
    seconds: float | None = None


class BeforeAfter(Record):
    before: float
    after: float


class CalibrationEffect(Record):
    """Metrics before and after temperature scaling; kept: the classifier uses the temperature."""

    temperature: float
    kept: bool
    validation_log_loss: BeforeAfter
    test_calibration_error: BeforeAfter


class Slice(Record):
    """Metrics of some of the test rows."""

    slice: str
    bucket: str
    rows: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float


class InvarianceCheck(Record):
    """A change that should not change labels: the test rows that it altered, and how many of them kept their label."""

    change: str
    rows: int
    same_label: int
    examples: list[dict[str, str]]


class Cases(Record):
    """Cases that any good model answers right; failed: text, label, predicted and score of each wrong answer."""

    file: str
    rows: int
    passed: int
    failed: list[dict[str, Any]]


class Behaviour(Record):
    invariance: list[InvarianceCheck] = []
    cases: Cases | None = None


class Evaluation(Record):
    """A classifier on the test rows. Entries that an earlier release did not write have defaults.

    mistakes: example_id, text, label, predicted and score of the most confident ones.
    label_errors: example_id, text, split, label, suggested and two probabilities of the most likely ones.
    """

    labels: list[str]
    candidate: Metrics
    intervals: Intervals
    guessing: MacroF1
    baseline: Baseline | None = None
    calibration: CalibrationEffect | None = None
    slices: list[Slice] = []
    behaviour: Behaviour = Behaviour()
    mistakes: list[dict[str, Any]] = []
    label_errors: list[dict[str, Any]] = []
