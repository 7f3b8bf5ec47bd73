"""The search for settings: what is tried, checked against the settings' own bounds before anything runs."""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from lstm_model.config.model import ModelConfig
from lstm_model.config.pipeline import PipelineConfig, flatten, nest
from lstm_model.config.section import Count, Section
from lstm_model.config.training import TrainingConfig
from lstm_model.errors import UsageError

if TYPE_CHECKING:
    import optuna

SETTINGS: dict[str, Any] = {  # Name -> type.
    **{f"model.{name}": field.annotation for name, field in ModelConfig.model_fields.items()},
    **{f"training.{name}": field.annotation for name, field in TrainingConfig.model_fields.items()},
}
NUMBERS = (int, float, float | None)
FIXED = {
    "training.seed": "it decides chance",
    "training.monitor": "it is the metric that trials are compared by",
    "model.word_vectors": "its file decides model.embedding_dim",
}


class Range(Section):
    """Numbers from low to high, both included; whole numbers where the setting is one."""

    low: FiniteFloat
    """The lowest."""
    high: FiniteFloat
    """The highest."""
    log: bool = False
    """Try as many between 0.001 and 0.01 as between 0.01 and 0.1."""
    step: FiniteFloat | None = Field(None, gt=0)
    """Distance of neighbours. Unset: 1 for whole numbers, otherwise none."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must lie below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0 and no step")
        if self.step and (Decimal(str(self.high)) - Decimal(str(self.low))) % Decimal(str(self.step)):
            raise ValueError(
                f"steps of {self.step:g} from {self.low:g} do not end at {self.high:g}; change one of them"
            )
        return self


def _are_values(given: Any) -> Any:
    if not isinstance(given, list | tuple):
        raise ValueError("give a list of values such as [16, 32], or a range such as {low: 16, high: 64}")
    if not all(isinstance(value, str | int | float) for value in given):
        raise ValueError("each value is a text, a number, true or false")
    return given


Values = Annotated[tuple[str | int | float | bool, ...], Field(min_length=2), BeforeValidator(_are_values)]
# The tags say which of the two is meant, so that an error is about that one alone.
Tried = Annotated[
    Annotated[Values, Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(lambda given: "range" if isinstance(given, dict | Range) else "values"),
]


class TuningConfig(Section):
    """How settings are searched for. It decides no run's outcome, so it is no part of PipelineConfig."""

    trials: int = Field(20, ge=2)
    """Trials in all, with the first configuration and with those of the same search before it was interrupted."""
    minutes: float | None = Field(None, gt=0)
    """No trial starts after this many minutes. Unset: only the number of trials ends the search."""
    space: dict[str, Tried] = {  # noqa: RUF012  pydantic copies it
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
    """Trials drawn at random before earlier results decide (and before the first one is cut short)."""
    prune: bool = True
    """Cut a trial short when after the same epoch it is worse than half of the trials before it."""
    warmup_epochs: Count = 3
    """Epochs in which no trial is cut short."""
    seed: int = Field(42, ge=0, lt=2**31)
    """Decides what is tried, together with the number of the trial and the results of those before it."""

    @field_validator("space")
    @classmethod
    def _of_the_settings_types(cls, space: dict[str, Tried]) -> dict[str, Tried]:
        return {
            name: tried if isinstance(tried, Range) else tuple(_typed(name, value) for value in tried)
            for name, tried in space.items()
        }


def _typed(name: str, value: Any) -> Any:
    """Return a value as the setting has it: files give texts. A value that it does not accept stays."""
    kind = SETTINGS.get(name)
    if kind is bool or (kind in NUMBERS and not isinstance(value, bool)):
        with suppress(ValidationError):
            return TypeAdapter(kind).validate_python(value)
    return value


def check_space(tuning: TuningConfig, base: PipelineConfig) -> None:
    """Raise UsageError for a setting that cannot be tried, and for a value that the setting does not accept."""
    if not tuning.space:
        raise _space_error("needs at least one setting")
    for name, tried in tuning.space.items():
        if name not in SETTINGS:
            raise _space_error(f"has {name!r}, which is no setting of model or training ({', '.join(SETTINGS)})")
        if name in FIXED:
            raise _space_error(f"has {name}, which a search may not change: {FIXED[name]}")
        if name == "model.embedding_dim" and base.model.word_vectors:
            raise _space_error(f"has {name}, but model.word_vectors is set: its file has one width")
        _check_kind(name, tried)
    for name, tried in tuning.space.items():
        for value in _extremes(tried):
            if problem := _refusal(tuning, base, name, value):
                raise _space_error(f"has {value!r} for {name}: {problem}")


def _check_kind(name: str, tried: Any) -> None:
    """Raise UsageError for a range, a step, true or false where the setting has none, and for a value given twice."""
    kind = SETTINGS[name]
    if isinstance(tried, Range):
        if kind not in NUMBERS:
            raise _space_error(f"has a range for {name}, which is no number. Give it a list of values")
        if kind is int and tried.step and not tried.step.is_integer():
            raise _space_error(
                f"has a step of {tried.step:g} for {name}, which is a whole number. Give it a whole step"
            )
        return
    for place, value in enumerate(tried):
        if isinstance(value, bool) and kind is not bool:
            raise _space_error(f"has {str(value).lower()} for {name}, which takes no true or false")
        if value in tried[:place]:
            raise _space_error(f"has {value!r} twice for {name}. Leave one out")


def _extremes(tried: Any) -> tuple[Any, ...]:
    return (tried.low, tried.high) if isinstance(tried, Range) else tried


def _refusal(tuning: TuningConfig, base: PipelineConfig, name: str, value: Any) -> str | None:
    """Return why no trial can have this value: the setting refuses it, or all that is tried with it does."""
    try:
        with_settings(base, {name: value})
        return None
    except ValidationError as error:
        problem = error.errors()[0]
    together = len(problem["loc"]) < 2  # A validator of several settings, which may accept it with others.
    for other, tried in tuning.space.items() if together else ():
        for fitting in _extremes(tried):
            with suppress(ValidationError):
                with_settings(base, {other: fitting, name: value})
                return None
    return str(problem["msg"]).removeprefix("Value error, ")


def _space_error(problem: str) -> UsageError:
    return UsageError(f"tuning.space {problem}.", "See docs/tuning.md, what is tried.")


def with_settings(base: PipelineConfig, settings: Mapping[str, Any]) -> PipelineConfig:
    """Return base with settings such as "model.lstm_units" replaced. Raises ValidationError if they do not fit."""
    return PipelineConfig.model_validate(nest({**flatten(base), **settings}))


def suggest_settings(trial: "optuna.trial.BaseTrial", tuning: TuningConfig) -> dict[str, Any]:
    """Return a value for each setting of the space; a trial that has values keeps them."""
    return {name: _suggest(trial, name, tried) for name, tried in sorted(tuning.space.items())}


def _suggest(trial: "optuna.trial.BaseTrial", name: str, tried: Any) -> Any:
    if not isinstance(tried, Range):
        return trial.suggest_categorical(name, list(tried))
    if SETTINGS[name] is int:
        step = 1 if tried.log else int(tried.step or 1)
        return trial.suggest_int(name, int(tried.low), int(tried.high), step=step, log=tried.log)
    value = trial.suggest_float(name, tried.low, tried.high, step=tried.step, log=tried.log)
    return float(f"{value:.4g}")  # Short enough to read and copy.
