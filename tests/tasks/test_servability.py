"""A registered version behind a real MLflow server, before an alias moves. Slow: servers start."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest

from lstm_model.classifier.answers import answer_table
from lstm_model.classifier.classifier import Classifier
from tasks.promotion import check_servable
from tasks.promotion.check_servable import find_servability
from tests.models import LABELS, TEXTS, register, write_classifier

NAME = "servable"
PORTS: list[int] = []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_classifier(tmp_path_factory.mktemp("servable") / "classifier")
    register(folder, NAME)
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After each test the port is free and no process knows of it."""
    free_port = check_servable.free_port
    monkeypatch.setattr(check_servable, "free_port", lambda: PORTS.append(free_port()) or PORTS[-1])
    yield
    running = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert not [command for command in running if "scoring_server" in " ".join(command)]
    for port in PORTS:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def registered(folder: Path) -> Iterator[Path]:
    """The registry's own copy of the classifier, mended after the test."""
    model = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/1"))
    kept = folder.parent / "kept"
    shutil.copytree(model, kept)
    yield model
    shutil.rmtree(model)
    kept.rename(model)


def expected_from(folder: Path) -> pd.DataFrame:
    answers = answer_table(Classifier.load(folder).predict_probabilities(TEXTS), LABELS)
    return pd.concat([pd.DataFrame({"text": TEXTS}), answers.rename(columns={"label": "predicted"})], axis=1)


def test_a_good_version_answers_and_is_timed(folder: Path) -> None:
    found = find_servability(NAME, "1", expected_from(folder))
    assert found.reason is None
    assert found.asked == 2 + 6 + len(TEXTS)  # Its input example, odd texts, and what was expected.
    assert found.cold_start_seconds is not None and found.p95_milliseconds is not None
    assert found.cold_start_seconds > found.p95_milliseconds / 1_000 > 0


def test_a_version_that_answers_otherwise_than_the_evaluation_is_not_servable(folder: Path, tmp_path: Path) -> None:
    other = expected_from(write_classifier(tmp_path / "other", seed=2))
    otherwise = int((other["predicted"] != expected_from(folder)["predicted"]).sum())
    found = find_servability(NAME, "1", other)
    assert found.reason is not None and otherwise > 0
    assert f"labels of {otherwise} of {len(TEXTS)} test rows differ from the evaluation" in found.reason
    assert found.cold_start_seconds is None


@pytest.mark.parametrize("file", ["tokenizer.json", "model.onnx", "classifier.json", "model.keras"])
def test_a_file_missing_in_the_registry_is_named_before_a_server_starts(registered: Path, file: str) -> None:
    started = len(PORTS)
    (registered / "artifacts" / "classifier" / file).unlink()
    assert find_servability(NAME, "1", None).reason == f"{file} is missing in the registry"
    assert len(PORTS) == started


def test_a_truncated_file_is_named(registered: Path) -> None:
    file = registered / "artifacts" / "classifier" / "model.onnx"
    file.write_bytes(file.read_bytes()[:1_000])
    reason = find_servability(NAME, "1", None).reason
    assert reason == "model.onnx in the registry is damaged: it is not the file that was registered"


@pytest.mark.parametrize("file", ["MLmodel", "serving_input_example.json"])
def test_a_version_without_its_description_or_example_is_not_servable(registered: Path, file: str) -> None:
    (registered / file).unlink()
    reason = find_servability(NAME, "1", None).reason
    assert reason is not None and reason.startswith("its files cannot be read: ") and file in reason


def test_a_server_that_ends_tells_its_error(registered: Path) -> None:
    (registered / "code" / "lstm_model" / "classifier" / "classifier.py").write_text(
        "raise RuntimeError('no such weights')\n"
    )
    reason = find_servability(NAME, "1", None).reason
    assert reason is not None and reason.startswith("its server ended with exit code 1: ")
    assert "Error: no such weights." in reason


def test_a_server_that_takes_too_long_is_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_servable, "START_SECONDS", 0.5)
    assert find_servability(NAME, "1", None).reason == "its server did not answer within 0.5 s"


def test_an_interrupt_leaves_nothing_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check_servable, "_ask", interrupt)
    with pytest.raises(KeyboardInterrupt):
        find_servability(NAME, "1", None)
