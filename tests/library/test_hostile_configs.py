"""Configurations that nobody should write: each is refused with a short sentence that names what is wrong."""

from pathlib import Path

import pytest

from flows.commands.train import Settings
from flows.settings import parse
from lstm_model.errors import UsageError

ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
FILES: dict[str, tuple[str | bytes, str]] = {
    "nested too deep": (f"training: {'[' * 20_000}{']' * 20_000}", "Cannot read"),
    "aliases that grow": (f"{ALIASES}training: {{epochs: *a11}}\n", "training.epochs"),
    "an alias of itself": ("training: &x {epochs: *x}\n", "training.epochs"),
    "code": ("training: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
    "an object": ("training: !!python/object:pathlib.Path {}\n", "could not determine a constructor"),
    "bytes": (bytes(range(256)), "Cannot read"),
    "UTF-16": ("training: {epochs: 1}".encode("utf-16"), "Cannot read"),
    "NULs": (b"training:\0 {epochs: 1}", "Cannot read"),
    "a list": ("- training\n", "but a list"),
    "a string": ("training", "but a str"),
    "a key that is a list": ("? [a, b]\n: 1\n", "unhashable key"),
    "a key that is a number": ("1: {epochs: 2}\n", "1: unknown setting"),
    "an unknown section": ("trainings: {epochs: 2}\n", "trainings: unknown setting"),
    "an unknown setting": ("training: {epoch: 2}\n", "training.epoch: unknown setting"),
    "many unknown settings": (f"training: {{{', '.join(f's{n}: 1' for n in range(5_000))}}}\n", "and 4995 more"),
    "a section that is a list": ("training: [1]\n", "training"),
    "infinitely many": ("training: {epochs: inf}\n", "valid integer"),
    "no number": ("training: {learning_rate: nan}\n", "greater than 0"),
    "a number of 5,000 digits": (f"training: {{epochs: 1{'0' * 5_000}}}\n", "training.epochs"),
    "a long text for a number": (f"training: {{epochs: {'x' * 1_000_000}}}\n", "valid integer"),
    "a negative number": ("training: {epochs: -1}\n", "training.epochs"),
    "half a row": ("model: {lstm_units: 1.5}\n", "model.lstm-units"),
    "an object for a path": ("data: {path: {a: b}}\n", "data.path"),
    "no label": ("data: {labels: [null, b]}\n", "data.labels.0: there is no value"),
    "an unfinished mapping": ("training: {epochs: 1", "Cannot read"),
    "tabs": ("training:\n\tepochs: 1\n", "Cannot read"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused(name: str, tmp_path: Path) -> None:
    content, words = FILES[name]
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as refused:
        parse(Settings, ["--config", str(path)])
    assert words in refused.value.message and len(refused.value.message) < 1_500


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--training.epochs", "9" * 5_000], "training.epochs"),
        (["--training.epochs", "[" * 20_000], "training.epochs"),
        (["--promotion.class-floors", "{" * 20_000], "class_floors"),
        (["--model", "{}", "--model.lstm-units", "x"], "model.lstm-units"),
        (["--" + "x" * 100_000, "1"], "cannot use these settings"),
        (["--config", "/"], "Cannot read / as YAML"),
        (["--config", "missing\n.yaml"], "Cannot read"),
    ],
)
def test_a_command_line_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(Settings, arguments)
    assert words in refused.value.message
