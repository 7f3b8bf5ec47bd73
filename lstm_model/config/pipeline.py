"""All sections of a training run, the presets, flat names, and the configuration that an earlier release recorded.

This one frozen tree is the flow's parameters, the command line's flags, the YAML file and MLflow's params. Settings
that change the model are here; where it runs (addresses, schedules) is set in the environment or in deployments/.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, model_validator

from lstm_model.config.data import DataConfig
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.export import ExportConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.ngrams import NgramsConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.section import Section
from lstm_model.config.split import SplitConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.config.training import TrainingConfig


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
    """Training it."""
    ngrams: NgramsConfig = NgramsConfig()
    """The linear part next to it."""
    export: ExportConfig = ExportConfig()
    """Making it servable."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluating it."""
    registration: RegistrationConfig = RegistrationConfig()
    """Registering it."""
    promotion: PromotionConfig = PromotionConfig()
    """Making it champion."""

    @model_validator(mode="after")
    def _check_sections(self) -> "PipelineConfig":
        if self.model.word_vectors and self.tokenization.kind == "bpe":
            raise ValueError("model.word_vectors needs tokenization.kind=word: other tokens are parts of words")
        if self.promotion.baseline == "require" and not self.evaluation.baseline:
            raise ValueError("promotion.baseline=require needs evaluation.baseline; set it to true")
        if self.data.split_column and (self.split.group_column or self.split.time_column):
            raise ValueError("data.split_column excludes split.group_column and split.time_column")
        return self

    @property
    def tokens(self) -> TokenizationConfig:
        """The section tokenization for the stages: with word vectors, `auto` is `word`."""
        words = self.model.word_vectors is not None and self.tokenization.kind == "auto"
        return self.tokenization.model_copy(update={"kind": "word"}) if words else self.tokenization

    @property
    def other_columns(self) -> dict[str, str | None]:
        """Name here -> name in the file, for columns besides those of the section data; None for one that is unset."""
        slices, groups, times = self.evaluation.slice_column, self.split.group_column, self.split.time_column
        return {"slice": slices, "group": groups, "time": times}


class Preset(dict[str, Any]):
    """The settings, by section, that differ from the defaults."""

    def __init__(self, description: str, **sections: dict[str, Any]) -> None:
        """description: what it is for, its cost and its result, for `train --help` and docs/configuration.md."""
        super().__init__(sections)
        self.description = description


PRESETS = {
    "default": Preset(
        "An LSTM over words or parts of words, mixed with linear models over n-grams. AG News, 18,000 train rows and "
        "two CPU cores: 53 s, test accuracy 0.918. IMDb: 152 s, 0.919."
    ),
    "fast": Preset(
        "A small LSTM (E 32, H 16) that is trained for three epochs, for a first look at data and settings. AG News: "
        "48 s, 0.916. IMDb: 95 s, 0.919. On 1,000 to 5,000 rows a point or more less than default.",
        model={"embedding_dim": 32, "lstm_units": 16},
        training={"epochs": 3, "learning_rate": 1e-2, "adversarial": 0},
    ),
    "accurate": Preset(
        "Adversarial training for any number of rows, and more patience. AG News: 84 s, 0.917. IMDb: 323 s, 0.919. "
        "Below 10,000 rows as default, with a fourth epoch of patience.",
        training={"adversarial": 1, "patience": 4},
    ),
    "article": Preset(
        "The stacked LSTM of the tutorial that this project started from, alone: 584,932 parameters with 4 classes and "
        "a full vocabulary. It trains on 2,300 rows/s with two CPU cores.",
        tokenization={"vocab_size": 8_000, "max_length": 35},
        split={"test_fraction": 0.1, "validation_fraction": 0.09, "seed": 42},
        model={
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
        ngrams={"words": False, "characters": False},
        training={
            "epochs": 120,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "average_epochs": 0,
            "adversarial": 0,
            "gradient_clip_norm": 0,
        },
    ),
}


# For what runs recorded. Settings of earlier releases, with their defaults:
REMOVED = {"export.quantize": "none", "export.max_disagreement": 0.005}
# Settings that earlier releases did not have, as those releases worked:
ADDED = {
    **dict.fromkeys(("data.delimiter", "data.encoding", "data.header", "data.text_columns")),
    **dict.fromkeys(("split.group_column", "split.time_column")),
    "data.clean_labels": False,
    "data.drop_rare_labels": True,
    **dict.fromkeys(("evaluation.cases_delimiter", "evaluation.cases_encoding")),
    "ngrams.words": False,
    "ngrams.characters": False,
    "training.adversarial": 0.0,
}


def flatten(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return the tree as {"model.lstm_units": 32, ...}, the names of MLflow's params and of the flags."""
    flat: dict[str, Any] = {}
    for name, value in config:
        key = f"{prefix}{name}"
        flat |= flatten(value, f"{key}.") if isinstance(value, BaseModel) else {key: value}
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return flat names as sections: {"model": {"lstm_units": 32}, ...}."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


def flat_settings(recorded: bytes) -> dict[str, Any]:
    """Return the settings in a run's config.json by flat name, including those that this release does not know."""
    sections = json.loads(recorded)
    return {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}


def removed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded settings that were removed since and had another value than their default."""
    return {name: settings[name] for name, default in REMOVED.items() if settings.get(name, default) != default}


def read_recorded(settings: Mapping[str, Any]) -> PipelineConfig:
    """Return recorded settings without removed ones. Raises pydantic.ValidationError if one is not accepted here."""
    kept = {name: value for name, value in {**ADDED, **settings}.items() if name not in REMOVED}
    return PipelineConfig.model_validate(nest(kept))
