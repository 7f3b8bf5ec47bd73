"""What YAML would read as something else is a text where a setting is one; other mistakes name the line."""

from pathlib import Path
from typing import Any

import pytest

from flows.commands import tune
from flows.commands.train import Settings
from flows.settings import parse
from lstm_model.config.pipeline import PipelineConfig
from lstm_model.errors import UsageError

UNDERSTOOD: list[tuple[str, str, Any]] = [
    ("data: {labels: [no, yes]}", "data.labels", ("no", "yes")),
    ("data: {labels: [on, Off, Y, True]}", "data.labels", ("on", "Off", "Y", "True")),
    ("data: {labels: [1, 0123, 1.50, 1e3]}", "data.labels", ("1", "0123", "1.50", "1e3")),
    ("data: {labels: [12:30:00, 2024-01-01, 'null']}", "data.labels", ("12:30:00", "2024-01-01", "null")),
    ("data: {label_column: no, text_column: x}", "data.label_column", "no"),
    ("data: {text_column: 2024}", "data.text_column", "2024"),
    ("data: {path: 2024-01-01}", "data.path", Path("2024-01-01")),
    ("data: {header: [1, no, 2024-01-01]}", "data.header", ("1", "no", "2024-01-01")),
    ("data: {id_column: none}", "data.id_column", "none"),
    ("data: {id_column: null}", "data.id_column", None),
    ("evaluation: {slice_column: 1}", "evaluation.slice_column", "1"),
    ("split: {group_column: on}", "split.group_column", "on"),
    ("promotion: {class_floors: {no: 0.5, 1: 3e-1}}", "promotion.class_floors", {"no": 0.5, "1": 0.3}),
    ("model: {bidirectional: off}", "model.bidirectional", False),
    ("model: {lstm_units: 0123}", "model.lstm_units", 123),
    ("training: {learning_rate: 1e-3}", "training.learning_rate", 0.001),
    ("training: {adversarial: ~}", "training.adversarial", None),
    ("training: {<<: {epochs: 3}, batch_size: 4}", "training.epochs", 3),
    ("training: {<<: {epochs: 3}, epochs: 4}", "training.epochs", 4),
]
REFUSED = [
    ("data: {labels: [null, a]}", "data.labels.0: there is no value; write a text such as null or #1 in quotes"),
    ("data:\n  labels:\n  - #sports\n  - b", "data.labels.0: there is no value"),
    ("training: {epochs: }", "training.epochs: there is no value"),
    ("training: {epochs: 3}\ntraining: {epochs: 4}", "line 2: 'training' is there twice, first in line 1. Keep one"),
    ("training:\n  epochs: 1\n  epochs: 2", "line 3: 'epochs' is there twice, first in line 2. Keep one"),
    ("training: {epochs: 1, epochs: 2}", "line 1: 'epochs' is there twice, first in line 1. Keep one"),
    ("promotion:\n  class_floors:\n    a: 0.1\n    'a': 0.2", "line 4: 'a' is there twice, first in line 3"),
    ("training:\n\tepochs: 1\n", "line 2: found character '\\t' that cannot start any token. Indent with spaces"),
    ("training:\n  epochs: 3\n   batch_size: 3\n", "line 3: mapping values are not allowed here. Indent the settings"),
    ("training:\n  epochs: 3\n batch_size: 3\n", "line 3: expected <block end>"),
    ("model: {lstm_units: 1}\ntraining:\nepochs: 3\n", "line 3: epochs is a setting of training. Indent"),
    ("data: {label_column: @x}", "line 1: found character '@' that cannot start any token. Fix that line; a text that"),
    ("data:\n  label_column: *x", "line 2: found undefined alias 'x'. Fix that line; a text that starts with a sign"),
]  # fmt: skip


def file_with(content: str, folder: Path) -> list[str]:
    (folder / "config.yaml").write_text(content, "utf-8")
    return ["--config", str(folder / "config.yaml")]


@pytest.mark.parametrize(("content", "name", "expected"), UNDERSTOOD)
def test_a_value_is_what_its_setting_is(content: str, name: str, expected: Any, tmp_path: Path) -> None:
    section, field = name.split(".")
    assert getattr(getattr(parse(Settings, file_with(content, tmp_path)), section), field) == expected


@pytest.mark.parametrize(("content", "words"), REFUSED)
def test_a_mistake_names_its_line_or_setting_and_the_fix(content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        parse(Settings, file_with(content, tmp_path))
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_values_to_try_are_of_the_settings_types(tmp_path: Path) -> None:
    lines = ["model.bidirectional: [yes, no]", "model.lstm_units: [16, 032]", "model.pooling: [max, mean]",
             "training.learning_rate: [1e-3, 0.01]", "training.warm_start: [none, champion]"]  # fmt: skip
    settings = parse(tune.Settings, file_with("tuning:\n  space:\n    " + "\n    ".join(lines), tmp_path))
    assert isinstance(settings, tune.Settings)
    assert list(settings.tuning.space.values()) == [
        (True, False), (16, 32), ("max", "mean"), (0.001, 0.01), ("none", "champion")
    ]  # fmt: skip
    assert [type(value) for value in settings.tuning.space["model.lstm_units"]] == [int, int]


def test_numbers_from_a_form_or_json_may_be_names() -> None:
    config = PipelineConfig.model_validate({"data": {"labels": [1, 2.5], "label_column": 7}})
    assert config.data.labels == ("1", "2.5") and config.data.label_column == "7"
