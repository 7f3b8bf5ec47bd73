"""What evaluation.json holds: written by the evaluation stage, read by gate, report, model card and comparison."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from lstm_model.evaluation.bootstrap import Interval


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClassMetrics(_Part):
    """Of one label; support: its test rows."""

    precision: float
    recall: float
    f1: float
    support: int


class Reliability(_Part):
    """Per bin of equal width: rows, mean confidence and accuracy of the predicted label."""

    rows: list[float]
    confidence: list[float]
    accuracy: list[float]


class Metrics(_Part):
    """As `metrics.classification_metrics` computes them."""

    accuracy: float
    majority_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    rows: int
    per_class: dict[str, ClassMetrics]
    confusion_matrix: list[list[int]]
    reliability: Reliability


class Intervals(_Part):
    """Percentile intervals from resampled test rows; confidence: how sure."""

    confidence: float
    accuracy: Interval
    macro_f1: Interval
    f1: dict[str, Interval]


class MacroF1(_Part):
    """A macro-F1 alone."""

    macro_f1: float


class BaselineDifference(MacroF1):
    """Candidate less baseline, and its paired interval."""

    interval: Interval


class Baseline(_Part):
    """The linear baseline on the same test rows; seconds: to fit and to answer."""

    name: str
    accuracy: float
    macro_f1: float
    f1: dict[str, float]
    difference: BaselineDifference
    seconds: float | None = None


class BeforeAfter(_Part):
    """A metric before and after temperature scaling."""

    before: float
    after: float


class CalibrationEffect(_Part):
    """What temperature scaling did; kept: whether it is in force."""

    temperature: float
    kept: bool
    validation_log_loss: BeforeAfter
    test_calibration_error: BeforeAfter


class Slice(_Part):
    """Part of the test rows."""

    slice: str
    bucket: str
    rows: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float


class InvarianceCheck(_Part):
    """A change that should not matter: how many test rows it altered, and how many of them kept their label."""

    change: str
    rows: int
    same_label: int
    examples: list[dict[str, str]]


class Cases(_Part):
    """Cases that any good model answers right; failed: text, label, predicted and score of each wrong answer."""

    file: str
    rows: int
    passed: int
    failed: list[dict[str, Any]]


class Behaviour(_Part):
    """Invariance checks and cases."""

    invariance: list[InvarianceCheck] = []
    cases: Cases | None = None


class Evaluation(_Part):
    """A classifier on the test rows. What an earlier release did not write has its default."""

    labels: list[str]
    candidate: Metrics
    intervals: Intervals
    guessing: MacroF1
    baseline: Baseline | None = None
    calibration: CalibrationEffect | None = None
    slices: list[Slice] = []
    behaviour: Behaviour = Behaviour()
    mistakes: list[dict[str, Any]] = []
    """example_id, text, label, predicted and score of the most confident ones."""
    label_errors: list[dict[str, Any]] = []
    """example_id, text, split, label, suggested and two probabilities of the likeliest ones."""
