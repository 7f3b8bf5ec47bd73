"""One frozen tree of settings: the flow's parameters, the command line's flags, the YAML file and MLflow's params.

What changes the model is here; what changes where it runs (addresses, schedules) is environment or deployments/.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from lstm_model.delimited import Quoting

Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
ModelName = Annotated[str, Field(pattern=r"^[^/:.@%\"'\s]+$")]


WORDS = {
    "lstm": "LSTM",
    "id": "ID",
    "f1": "F1",
    "uri": "URI",
    "dim": "dimension",
    "vocab": "vocabulary",
    "min": "minimum",
    "max": "maximum",
}


def title(name: str) -> str:
    """Return a setting's name for a form: lstm_units is "LSTM units"."""
    words = [WORDS.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


class Section(BaseModel):
    """A group of settings: frozen, every field described, unknown names refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        field_title_generator=lambda name, field: title(name),
    )


class DataConfig(Section):
    """Where the labelled rows are and what is accepted as a row."""

    path: Path = Path("data/headlines.csv")
    """The labelled file: .csv, .tsv, .jsonl (each also .gz) or .parquet."""
    text_column: str = "text"
    """Name of the column with the text."""
    label_column: str = "label"
    """Name of the column with the label; labels are strings."""
    id_column: str | None = None
    """Name of the column with the row's id. Unset: `id` if the file has it, otherwise the row number from 1."""
    quoting: Quoting = "auto"
    """Whether double quotes enclose fields of CSV and TSV. auto: in CSV; in TSV only if the whole file fits that.
    quoted, none: as said, whatever the file looks like."""
    split_column: str | None = None
    """Name of a column that says train, validation or test for each row. Unset: the rows are split here."""
    labels: tuple[str, ...] | None = None
    """The labels that may occur. Unset: learned from the file, and recorded."""
    min_characters: Count = 1
    """Fewest characters in a text, white space at both ends not counted."""
    max_characters: Count = 100_000
    """Most characters in a text; a longer one is usually a broken file."""
    max_labels: Annotated[int, Field(ge=2)] = 1_000
    """Most different labels; more usually means that the wrong column was named."""
    on_bad_rows: Literal["stop", "quarantine"] = "stop"
    """stop: any bad row ends the run. quarantine: bad rows are set aside and recorded."""
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05
    """With quarantine: the largest share of rows that may be set aside."""


class TokenizationConfig(Section):
    """How text becomes token_ids."""

    kind: Literal["word", "bpe"] = "word"
    """word: one token per word or punctuation mark. bpe: byte-pair encoding learned on the training rows."""
    vocab_size: Annotated[int, Field(ge=3)] = 20_000
    """Most tokens in the vocabulary, [PAD] and [UNK] included."""
    min_frequency: Count = 1
    """A token that occurs less often in the training rows is unknown."""
    max_length: Count = 256
    """Tokens kept per text; the rest is cut off."""
    lowercase: bool = True
    """Fold to lower case."""
    strip_accents: bool = True
    """Drop accents after NFKD normalization."""


class SplitConfig(Section):
    """How rows are shared out; a split column overrides the fractions it makes needless."""

    test_fraction: Fraction = 0.15
    """Share of the rows of each label that becomes test rows."""
    validation_fraction: Fraction = 0.1
    """Share of the rows of each label that becomes validation rows (with a split column: of its train rows)."""
    seed: int = 42
    """Decides which rows go where."""

    @model_validator(mode="after")
    def _leave_training_rows(self) -> "SplitConfig":
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError("test_fraction + validation_fraction must stay below 1, so that train rows remain")
        return self


class ModelConfig(Section):
    """The network: embedding, LSTM layers, pooling, dense head."""

    embedding_dim: Count = 200
    """Width of a token's vector (E)."""
    lstm_layers: Count = 1
    """LSTM layers, one on top of the other."""
    lstm_units: Count = 32
    """Units of each LSTM layer and direction (H)."""
    bidirectional: bool = True
    """Read each text in both directions."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation of the LSTM's candidate and output. relu leaves the fast GPU path."""
    pooling: Literal["last", "max", "mean"] = "max"
    """How the states of all tokens become one vector: the last state, or the maximum or mean over the tokens."""
    embedding_skip: bool = True
    """Pool the embeddings beside the LSTM's states (not with pooling=last)."""
    dense_units: Annotated[int, Field(ge=0)] = 0
    """Units of a dense relu layer before the output; 0 leaves it out."""
    dropout_rate: Rate = 0.3
    """Dropout behind each LSTM layer (behind the pooling for the topmost) and behind the dense layer."""
    word_dropout_rate: Rate = 0.2
    """Share of tokens replaced by [UNK] while training."""

    @model_validator(mode="after")
    def _skip_needs_pooling(self) -> "ModelConfig":
        if self.embedding_skip and self.pooling == "last":
            raise ValueError("embedding_skip needs pooling=max or pooling=mean; set embedding_skip to false")
        return self


class TrainingConfig(Section):
    """How the network is fitted."""

    epochs: Count = 30
    """Most passes over the training rows."""
    batch_size: Count = 64
    """Rows per step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """Adam's step size."""
    average_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs over which weights are averaged (exponentially); the average is judged and kept. 0: no average."""
    gradient_clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Global norm that gradients are cut to; 0 leaves them."""
    patience: Count = 3
    """Epochs without a better validation figure before training stops."""
    monitor: Literal["log_loss", "macro_f1"] = "log_loss"
    """The validation figure that picks the best epoch."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rows of rare labels weigh more, in inverse proportion to their number."""
    warm_start: Literal["none", "champion"] = "none"
    """champion: start from the champion's weights where tokens, labels and sizes agree, instead of from random ones."""
    seed: int = 42
    """Decides initial weights, order and dropout, together with the epoch."""


class ExportConfig(Section):
    """From the trained network to the classifier that is served."""

    max_difference: Annotated[float, Field(gt=0)] = 1e-5
    """Largest difference of a probability between Keras and ONNX Runtime on validation rows."""
    compared_rows: Count = 512
    """Validation rows on which the two are compared."""
    calibrate: bool = True
    """Fit a temperature on validation rows, so that a score is the share of right answers; kept only if it helps."""
    quantize: Literal["none", "int8"] = "none"
    """int8: LSTM layers and embedding in 8 bits; faster and a quarter of the size, answers differ a little."""
    max_disagreement: Annotated[float, Field(ge=0, le=1)] = 0.005
    """Share of validation rows that int8 may label otherwise than float; more stops the run."""


class EvaluationConfig(Section):
    """How the classifier is judged on the test rows."""

    calibration_bins: Annotated[int, Field(ge=2)] = 15
    """Bins of equal width for the expected calibration error and the reliability diagram."""
    confidence: Fraction = 0.95
    """How sure an interval is: the share of resampled figures that it holds."""
    bootstrap_rounds: Annotated[int, Field(ge=100)] = 2_000
    """Resamplings of the test rows behind each interval."""
    bootstrap_seed: int = 42
    """Decides which rows are drawn."""
    baseline: bool = True
    """Fit TF-IDF with a linear SVM on the same train rows, to tell what the network is worth."""
    slice_column: str | None = None
    """Name of a column of the labelled file; figures are also given for the rows of each of its values."""
    cases: Path | None = None
    """File with columns text and label that any good model answers right. Unset: NAME.cases.csv beside data.path."""
    cases_quoting: Quoting = "auto"
    """As data.quoting, for the file with the cases."""
    shown_mistakes: Count = 50
    """Rows in the tables of confident mistakes and of likely label errors."""


class RegistrationConfig(Section):
    """Where the model goes."""

    model_name: ModelName = "text-classifier"
    """Name in the model registry."""
    experiment_name: str = "lstm-text"
    """MLflow experiment that holds the runs."""


class PromotionConfig(Section):
    """When the new version becomes champion. Figures are of test rows; intervals are as evaluation.confidence says."""

    min_macro_f1: Annotated[float, Field(ge=0, le=1)] = 0.2
    """The lowest macro-F1."""
    beat_guessing: bool = True
    """The interval of macro-F1 must lie above what guessing gets."""
    min_class_f1: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The lowest F1 of a class."""
    class_floors: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    """The lowest F1 of the classes named here, in the place of min_class_f1."""
    min_class_rows: Count = 20
    """A class with fewer compared rows is not judged by itself: its F1 is mostly chance."""
    max_class_f1_drop: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How much lower than the champion's the F1 of a class may be."""
    max_macro_f1_drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Worse than the champion is a candidate whose macro-F1 is lower by more than this, beyond chance."""
    min_compared_rows: Count = 50
    """The fewest rows, unseen by candidate and champion, that the two can be compared on."""
    baseline: Literal["ignore", "warn", "require"] = "warn"
    """What follows where the linear baseline is as good: nothing, a warning, or no promotion."""


class PipelineConfig(Section):
    """Everything that decides what a training run produces."""

    data: DataConfig = DataConfig()
    """The labelled file."""
    tokenization: TokenizationConfig = TokenizationConfig()
    """Text to token_ids."""
    split: SplitConfig = SplitConfig()
    """Train, validation and test rows."""
    model: ModelConfig = ModelConfig()
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """Fitting it."""
    export: ExportConfig = ExportConfig()
    """Making it servable."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Judging it."""
    registration: RegistrationConfig = RegistrationConfig()
    """Registering it."""
    promotion: PromotionConfig = PromotionConfig()
    """Making it champion."""

    @model_validator(mode="after")
    def _require_a_fitted_baseline(self) -> "PipelineConfig":
        if self.promotion.baseline == "require" and not self.evaluation.baseline:
            raise ValueError("promotion.baseline=require needs evaluation.baseline; set it to true")
        return self


class Range(Section):
    """Numbers from low to high, both included; whole numbers where the setting is one."""

    low: float
    """The lowest."""
    high: float
    """The highest."""
    log: bool = False
    """Try as many between 0.001 and 0.01 as between 0.01 and 0.1."""
    step: Annotated[float | None, Field(gt=0)] = None
    """Distance of neighbours. Unset: 1 for whole numbers, otherwise none."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must lie below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0 and no step")
        return self


Values = Annotated[tuple[str | int | float | bool, ...], Field(min_length=2)]
# The tags tell which of the two is meant, so that an error speaks of that one alone.
Tried = Annotated[
    Annotated[Values, Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(lambda given: "range" if isinstance(given, dict | Range) else "values"),
]


class TuningConfig(Section):
    """How settings are searched for. It decides no run's outcome by itself, so it is no part of PipelineConfig."""

    trials: Annotated[int, Field(ge=2)] = 20
    """Trials in all: the configuration started from, and those of the same search before it was interrupted, count."""
    minutes: Annotated[float | None, Field(gt=0)] = None
    """No trial begins after this many minutes. Unset: only the number of trials ends the search."""
    space: dict[str, Tried] = {
        "model.embedding_dim": (50, 100, 200, 300),
        "model.lstm_units": (16, 32, 64, 128),
        "model.pooling": ("max", "mean"),
        "model.dropout_rate": Range(low=0.1, high=0.6, step=0.1),
        "model.word_dropout_rate": Range(low=0.0, high=0.4, step=0.1),
        "training.learning_rate": Range(low=5e-4, high=1e-2, log=True),
        "training.batch_size": (32, 64, 128),
        "training.average_epochs": (0.0, 1.0, 2.0),
    }
    """What is tried: settings of `model` and `training`, each with a list of values or a range."""
    random_trials: Count = 6
    """Trials drawn at random before what was seen decides (and before the first one is cut short)."""
    prune: bool = True
    """Cut a trial short when after the same epoch it is worse than half of the trials before it."""
    warmup_epochs: Count = 3
    """Epochs that a trial is left alone."""
    seed: int = 42
    """Decides what is tried, together with the number of the trial and what came of those before it."""


class DriftConfig(Section):
    """When new texts count as other than those a version was judged on. No part of training: it changes no model."""

    max_psi: Annotated[float, Field(gt=0)] = 0.2
    """Largest population stability index of predicted labels, of confidence and of length."""
    max_unknown_change: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Largest change of the share of unknown tokens, up or down."""
    max_word_auc: Annotated[float, Field(ge=0.5, lt=1)] = 0.7
    """How well a classifier may tell new texts from the reference by their words: area under its ROC curve."""
    false_alarm_rate: Fraction = 0.01
    """Share of batches like the reference that may be called drifted by chance; it widens the limits of small ones."""
    min_rows: Annotated[int, Field(ge=10)] = 30
    """Fewest different rows that are judged, of the batch, the reference and the feedback."""
    accuracy_margin: Rate = 0.03
    """How far real accuracy (feedback) may lie below the version's test accuracy, beyond chance."""
    cooldown_days: Annotated[float, Field(ge=0)] = 7.0
    """Days after an event in which the same version causes no other."""
    experiment_name: str = "lstm-text-monitoring"
    """MLflow experiment that holds the comparisons."""


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # The stacked LSTM of the tutorial this project grew from: 584,932 parameters with 4 classes and a full vocabulary.
    "article": {
        "tokenization": {"vocab_size": 8_000, "max_length": 35},
        "split": {"test_fraction": 0.1, "validation_fraction": 0.09, "seed": 42},
        "model": {
            "embedding_dim": 45,
            "lstm_layers": 2,
            "lstm_units": 128,
            "bidirectional": False,
            "activation": "relu",
            "pooling": "last",
            "embedding_skip": False,
            "dense_units": 32,
            "dropout_rate": 0.2,
            "word_dropout_rate": 0.0,
        },
        "training": {
            "epochs": 120,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "average_epochs": 0,
            "gradient_clip_norm": 0,
        },
    },
}


def flatten(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return the tree as {"model.lstm_units": 32, ...}, the names MLflow's params and the command line use."""
    flat: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
