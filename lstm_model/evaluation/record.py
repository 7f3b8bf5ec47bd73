"""The content of evaluation.json: written by the evaluation stage, read by gate, report, model card and comparison."""

from typing import Any

from pydantic import BaseModel

from lstm_model.evaluation.bootstrap import Interval

SMALL_SHARE = 0.05  # Of the LSTM in the mixed logits: below this, it decides next to nothing.


class Record(BaseModel, frozen=True):
    """A part of a JSON file."""


class ClassMetrics(Record):
    precision: float
    recall: float
    f1: float
    support: int


class Metrics(Record):
    accuracy: float
    majority_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    rows: int
    per_class: dict[str, ClassMetrics]
    confusion_matrix: list[list[int]]
    reliability: dict[str, list[float]]


class Intervals(Record):
    confidence: float  # The level of the percentile intervals from resampled test rows.
    accuracy: Interval
    macro_f1: Interval
    f1: dict[str, Interval]


class MacroF1(Record):
    macro_f1: float


class MacroF1Difference(MacroF1):
    interval: Interval  # Paired over the rows.


class Baseline(Record):
    name: str
    accuracy: float
    macro_f1: float
    f1: dict[str, float]
    difference: MacroF1Difference  # Candidate - baseline.
    seconds: float | None = None  # To fit and predict.
    validation_accuracy: dict[str, float] = {}  # Of each linear model that was tried.


class Part(Record):
    share: float  # Of the deviation of the mixed logits.
    accuracy: float  # Of its own answers.
    macro_f1: float


class Coverage(Record):
    """How much of the test texts the tokenizer reads."""

    unknown_rate: float  # Share of their tokens that are [UNK].
    hardly_read: float  # Share of the texts that are mostly [UNK], or long and one token.


class BeforeAfter(Record):
    before: float
    after: float


class CalibrationEffect(Record):
    temperature: float
    kept: bool  # The classifier uses the temperature.
    validation_log_loss: BeforeAfter
    test_calibration_error: BeforeAfter


class Slice(Record):
    slice: str
    bucket: str
    rows: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float


class InvarianceCheck(Record):
    change: str
    rows: int  # Test rows that the change altered.
    same_label: int  # How many of them kept their label.
    examples: list[dict[str, str]]


class Cases(Record):
    file: str
    rows: int
    passed: int
    failed: list[dict[str, Any]]  # text, label, predicted and score.


class Behaviour(Record):
    invariance: list[InvarianceCheck] = []
    cases: Cases | None = None


class Evaluation(Record):
    """A classifier on the test rows. Entries that an earlier release did not write have defaults."""

    labels: list[str]
    candidate: Metrics
    intervals: Intervals
    guessing: MacroF1
    baseline: Baseline | None = None
    parts: dict[str, Part] = {}  # The LSTM alone and, if they are mixed in, the n-grams alone.
    coverage: Coverage | None = None
    calibration: CalibrationEffect | None = None
    slices: list[Slice] = []
    behaviour: Behaviour = Behaviour()
    mistakes: list[dict[str, Any]] = []  # Of `mistakes.confident_mistakes`.
    label_errors: list[dict[str, Any]] = []  # Of `mistakes.label_errors`.
