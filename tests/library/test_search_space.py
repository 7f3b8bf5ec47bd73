"""What a search may try, and what it refuses before anything runs."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from lstm_model.config.model import ModelConfig
from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.tuning import Range, TuningConfig, check_space, suggest_settings, with_settings
from lstm_model.errors import UsageError

BASE = PipelineConfig()


def test_the_default_space_can_be_searched_from_the_defaults() -> None:
    check_space(TuningConfig(), BASE)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "tuning.space needs at least one setting"),
        ({"model.lstm_unit": (16, 32)}, "model.lstm_units"),
        ({"tokenization.vocab_size": (100, 200)}, "no setting of model or training"),
        ({"training.seed": (1, 2)}, "training.seed, which a search may not change: it decides chance"),
        ({"training.monitor": ("log_loss", "macro_f1")}, "the metric that trials are compared by"),
        ({"model.dropout_rate": (0.1, 1.5)}, "1.5 for model.dropout_rate: Input should be less than 1"),
        ({"model.dropout_rate": Range(low=0.1, high=1.5)}, "1.5 for model.dropout_rate: Input should be less than 1"),
        (
            {"model.lstm_units": Range(low=0, high=8)},
            "0.0 for model.lstm_units: Input should be greater than or equal to 1",
        ),
        ({"model.lstm_units": Range(low=1.5, high=8)}, "1.5 for model.lstm_units: Input should be a valid integer"),
        ({"model.pooling": ("max", "sum")}, "'sum'"),
        ({"model.pooling": Range(low=1, high=2)}, "a range for model.pooling"),
        ({"model.bidirectional": Range(low=0, high=1)}, "a range for model.bidirectional"),
        (
            {"model.pooling": ("max", "last")},
            "'last' for model.pooling: embedding_skip needs pooling=max or pooling=mean",
        ),
        ({"model.pooling": ("max", "last"), "model.lstm_units": (8, 16)}, "embedding_skip needs pooling=max"),
        ({"model.tune_word_vectors": (True, False), "training.epochs": (2, 3)}, "False for model.tune_word_vectors"),
        (
            {"model.lstm_units": Range(low=1, high=8, step=0.5)},
            "step of 0.5 for model.lstm_units, which is a whole number",
        ),
        ({"training.epochs": Range(low=1, high=2, step=0.25)}, "step of 0.25 for training.epochs"),
        ({"model.lstm_units": Range(low=1, high=8.5)}, "8.5 for model.lstm_units: Input should be a valid integer"),
        ({"training.learning_rate": Range(low=-1, high=1)}, "-1.0 for training.learning_rate: Input should be greater"),
        ({"training.adversarial": Range(low=-1, high=1)}, "-1.0 for training.adversarial: Input should be greater"),
        ({"training.class_weights": Range(low=0, high=1)}, "range for training.class_weights, which is no number"),
        ({"model.lstm_units": (8, True)}, "true for model.lstm_units, which takes no true or false"),
        ({"model.pooling": ("max", True)}, "true for model.pooling"),
        ({"model.lstm_units": (8, 16, "8")}, "8 twice for model.lstm_units. Leave one out"),
        ({"model.lstm_units": (8, "many")}, "'many' for model.lstm_units: Input should be a valid integer"),
        ({"model.bidirectional": (True, "maybe")}, "'maybe' for model.bidirectional: Input should be a valid boolean"),
    ],
)
def test_a_space_that_cannot_be_searched_is_a_usage_error(space: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_space(TuningConfig(space=space), BASE)
    assert words in str(raised.value)


def test_the_width_of_word_vectors_cannot_be_searched() -> None:
    with pytest.raises(UsageError, match=r"model\.embedding_dim, but model\.word_vectors is set"):
        check_space(TuningConfig(), PipelineConfig(model=ModelConfig(word_vectors=Path("v.vec"))))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((16,), "at least 2 items"),
        (16, "give a list of values such as [16, 32], or a range"),
        (None, "give a list of values"),
        ("16", "give a list of values"),
        ((16, None), "each value is a text, a number, true or false"),
        (([16], 32), "each value is a text, a number, true or false"),
        ({}, "Field required"),
        ({"low": 2, "high": 1}, "low must lie below high"),
        ({"low": 2, "high": 2}, "low must lie below high"),
        ({"low": 0, "high": 1, "log": True}, "log needs a low above 0 and no step"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "log needs a low above 0 and no step"),
        ({"low": 1, "high": 2, "steps": 1}, "Extra inputs are not permitted"),
        ({"low": 1, "high": 4, "step": 2}, "steps of 2 from 1 do not end at 4; change one of them"),
        ({"low": 0.1, "high": 0.6, "step": 0.2}, "steps of 0.2 from 0.1 do not end at 0.6"),
        ({"low": 1, "high": 4, "step": 0}, "greater than 0"),
        ({"low": 1, "high": float("inf")}, "finite number"),
        ({"low": float("nan"), "high": 2}, "finite number"),
    ],
)
def test_values_that_are_no_choice_and_no_range_are_refused(given: Any, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TuningConfig(space={"model.lstm_units": given})
    assert words in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_that_the_sampler_does_not_take_is_refused(seed: int) -> None:
    with pytest.raises(ValidationError):
        TuningConfig(seed=seed)


def test_a_range_of_a_number_that_may_be_unset_can_be_searched() -> None:
    check_space(TuningConfig(space={"training.adversarial": Range(low=0, high=2, step=0.5)}), BASE)


def test_settings_that_only_some_combinations_refuse_may_be_searched_together() -> None:
    space = {"model.pooling": ("max", "last"), "model.embedding_skip": (True, False)}
    check_space(TuningConfig(space=space), BASE)
    with pytest.raises(ValidationError):
        with_settings(BASE, {"model.pooling": "last", "model.embedding_skip": True})


def test_settings_replace_their_fields_and_no_others() -> None:
    base = PipelineConfig(model=ModelConfig(lstm_units=7, embedding_dim=9))
    changed = with_settings(base, {"model.lstm_units": 8, "training.epochs": 3})
    assert (changed.model.lstm_units, changed.model.embedding_dim, changed.training.epochs) == (8, 9, 3)
    assert changed.training.seed == base.training.seed and changed.data == base.data


def test_what_is_drawn_is_of_the_settings_type_and_within_the_range_whatever_the_order_of_the_space() -> None:
    space: dict[str, Any] = {
        "model.lstm_units": Range(low=4, high=12, step=4),
        "training.learning_rate": Range(low=1e-3, high=1e-1, log=True),
        "model.bidirectional": (True, False),
    }
    tuning, turned = TuningConfig(space=space), TuningConfig(space=dict(reversed(space.items())))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [suggest_settings(study.ask(), tuning) for _ in range(20)]
    again = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    assert drawn == [suggest_settings(again.ask(), turned) for _ in range(20)]
    assert {type(settings["model.lstm_units"]) for settings in drawn} == {int}
    assert {settings["model.lstm_units"] for settings in drawn} == {4, 8, 12}
    assert all(1e-3 <= settings["training.learning_rate"] <= 1e-1 for settings in drawn)
    for settings in drawn:
        with_settings(BASE, settings)
