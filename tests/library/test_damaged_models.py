"""A model folder that is not what was exported never answers: each fault is a ModelError that names the file."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm_model.classifier.classifier import Classifier
from lstm_model.errors import ModelError
from tests.models import write_classifier

FILES = ["tokenizer.json", "model.onnx", "words_keys.npy", "words_weights.npy", "characters_keys.npy",
         "characters_weights.npy"]  # fmt: skip
FLIPS = range(6)
Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two models of the same labels, with other weights."""
    root = tmp_path_factory.mktemp("models")
    return write_classifier(root / "one", seed=1), write_classifier(root / "other", seed=2)


@pytest.fixture
def folder(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    for path in folders[0].iterdir():
        if path.suffix != ".keras":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def flipped(seed: int) -> Damage:
    def damage(data: bytes) -> bytes:
        changed, chosen = bytearray(data), random.Random(seed)
        changed[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        return bytes(changed)

    return damage


DAMAGES: dict[str, Damage] = {
    **{f"bit {seed}": flipped(seed) for seed in FLIPS},
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_file_is_named(folder: Path, name: str, damage: str) -> None:
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(ModelError, match=rf"{name} changed after the export"):
        Classifier.load(folder)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_description_is_no_model(folder: Path, damage: str) -> None:
    path = folder / "classifier.json"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ModelError):
        Classifier.load(folder)


def test_a_network_of_another_model_is_named(folder: Path, folders: tuple[Path, Path]) -> None:
    (folder / "model.onnx").write_bytes((folders[1] / "model.onnx").read_bytes())
    with pytest.raises(ModelError, match=r"model\.onnx changed after the export"):
        Classifier.load(folder)


def test_a_foreign_tokenizer_is_named(folder: Path) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    stored["model"]["vocab"] = {word: 1_000_000 + token_id for word, token_id in stored["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer\.json changed"):
        Classifier.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["dog", "cat", "owl"]},
        {"labels": ["cat", "dog", "owl", "eel"]},
        {"temperature": 9.0},
        {"mixture": {"words": 9.0, "characters": 0.2}},
        {"mixture": {}},
        {"config": {"model": {}}},
    ],
)
def test_a_description_that_was_edited_is_named(folder: Path, change: dict[str, object]) -> None:
    stored = json.loads((folder / "classifier.json").read_text("utf-8"))
    (folder / "classifier.json").write_text(json.dumps(stored | change), encoding="utf-8")
    with pytest.raises(ModelError, match=r"classifier\.json changed after the export"):
        Classifier.load(folder)


def test_a_whole_folder_answers_and_one_without_digests_too(folder: Path) -> None:
    answers = Classifier.load(folder).predict_probabilities(["a cat purrs"])
    stored = json.loads((folder / "classifier.json").read_text("utf-8"))
    del stored["digests"]  # As an earlier release wrote it.
    (folder / "classifier.json").write_text(json.dumps(stored), encoding="utf-8")
    assert (Classifier.load(folder).predict_probabilities(["a cat purrs"]) == answers).all()
