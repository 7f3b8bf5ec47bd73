"""The search for settings."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag, model_validator

from lstm_model.config.section import Count, Section


class Range(Section):
    """Numbers from low to high, both included; whole numbers where the setting is one."""

    low: float
    """The lowest."""
    high: float
    """The highest."""
    log: bool = False
    """Try as many between 0.001 and 0.01 as between 0.01 and 0.1."""
    step: float | None = Field(None, gt=0)
    """Distance of neighbours. Unset: 1 for whole numbers, otherwise none."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must lie below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0 and no step")
        return self


Values = Annotated[tuple[str | int | float | bool, ...], Field(min_length=2)]
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
    seed: int = 42
    """Decides what is tried, together with the number of the trial and the results of those before it."""
