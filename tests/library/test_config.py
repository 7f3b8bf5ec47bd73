"""One frozen tree of settings: unknown names and impossible values are refused, every field is described."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from flows.commands.train import Settings
from lstm_model.config.data import DataConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.pipeline import PRESETS, PipelineConfig, flatten
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.section import Section
from lstm_model.config.split import SplitConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.config.training import TrainingConfig

SECTIONS = [field.annotation for field in PipelineConfig.model_fields.values()]


@pytest.mark.parametrize("section", [PipelineConfig, *SECTIONS])
def test_every_field_has_a_description_and_a_default(section: type[BaseModel]) -> None:
    assert [name for name, field in section.model_fields.items() if not field.description] == []
    assert isinstance(section(), Section)


def test_the_sections_are_those_of_the_journey() -> None:
    assert list(PipelineConfig.model_fields) == [
        "data",
        "tokenization",
        "split",
        "model",
        "training",
        "ngrams",
        "export",
        "evaluation",
        "registration",
        "promotion",
    ]


def test_settings_cannot_be_changed_afterwards() -> None:
    config = PipelineConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.model.lstm_units = 5


@pytest.mark.parametrize("values", [{"modell": {}}, {"model": {"lstm_unit": 5}}, {"lstm_units": 5}])
def test_a_misspelt_name_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        PipelineConfig.model_validate(values)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (DataConfig, {"min_characters": 0}),
        (DataConfig, {"on_bad_rows": "ignore"}),
        (DataConfig, {"max_bad_fraction": 1.5}),
        (DataConfig, {"text_columns": ["title"]}),
        (DataConfig, {"text_columns": ["title", "title"]}),
        (DataConfig, {"text_columns": ["title", "body"], "text_column": "summary"}),
        (PipelineConfig, {"data": {"split_column": "part"}, "split": {"group_column": "author"}}),
        (PipelineConfig, {"data": {"split_column": "part"}, "split": {"time_column": "date"}}),
        (SplitConfig, {"group_column": "author", "time_column": "date"}),
        (TokenizationConfig, {"kind": "character"}),
        (TokenizationConfig, {"vocab_size": 2}),
        (TokenizationConfig, {"max_length": 0}),
        (SplitConfig, {"test_fraction": 0}),
        (SplitConfig, {"test_fraction": 1}),
        (SplitConfig, {"test_fraction": 0.6, "validation_fraction": 0.4}),
        (ModelConfig, {"dropout_rate": 1}),
        (ModelConfig, {"activation": "gelu"}),
        (ModelConfig, {"lstm_layers": 0}),
        (ModelConfig, {"pooling": "last", "embedding_skip": True}),
        (TrainingConfig, {"learning_rate": 0}),
        (TrainingConfig, {"epochs": 0}),
        (TrainingConfig, {"monitor": "accuracy"}),
        (RegistrationConfig, {"model_name": "a/b"}),
        (RegistrationConfig, {"model_name": "a b"}),
        (RegistrationConfig, {"model_name": ""}),
    ],
)
def test_an_impossible_value_is_refused(section: type[BaseModel], values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        section.model_validate(values)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid(name: str) -> None:
    config = PipelineConfig.model_validate(PRESETS[name])
    assert PipelineConfig.model_validate(config.model_dump()) == config


def test_the_help_of_train_describes_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.from_arguments(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f" {name} {preset.description} " in shown for name, preset in PRESETS.items())


def test_the_article_preset_is_the_reference_network() -> None:
    config = PipelineConfig.model_validate(PRESETS["article"])
    assert (config.tokenization.vocab_size, config.tokenization.max_length) == (8_000, 35)
    network = {
        "embedding_dim": 45,
        "lstm_layers": 2,
        "lstm_units": 128,
        "bidirectional": False,
        "activation": "relu",
        "pooling": "last",
        "embedding_skip": False,
        "dense_units": 32,
        "dropout_rate": 0.2,
    }
    assert network.items() <= config.model.model_dump().items()
    assert (config.training.epochs, config.training.batch_size) == (120, 64)
    assert (config.split.test_fraction, config.split.seed) == (0.1, 42)


def test_a_flat_tree_has_dotted_names_for_every_field() -> None:
    config = PipelineConfig(data=DataConfig(path=Path("rows.csv")), model=ModelConfig(lstm_units=7))
    flat = flatten(config)
    assert (flat["data.path"], flat["model.lstm_units"]) == (Path("rows.csv"), 7)
    assert len(flat) == sum(len(section.model_fields) for section in SECTIONS)
    assert flatten(config.model)["lstm_units"] == 7
