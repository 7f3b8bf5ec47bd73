"""`lstm-text serve` follows the alias that it was given. Slow: servers start."""

import time
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lstm_model.classifier.classifier import Classifier
from lstm_model.errors import ModelError
from tasks.serving.serve_model import AliasWatch
from tests.models import TEXTS, register, write_classifier
from tests.serving.servers import serving

NAME, URI = "followed", "models:/followed@champion"


def scores(address: str) -> list[float] | None:
    """Return the scores of the texts, or None while nothing answers."""
    try:
        answers = requests.post(f"{address}/invocations", json={"inputs": TEXTS}, timeout=10).json()["predictions"]
    except requests.ConnectionError:
        return None
    return [answer["score"] for answer in answers]


def wait_until_scores_are(address: str, expected: list[float]) -> None:
    deadline = time.monotonic() + 120
    while scores(address) != pytest.approx(expected, abs=1e-6):
        assert time.monotonic() < deadline, "the server did not follow"
        time.sleep(0.2)


def wait_until_told(stderr: Path, words: str) -> None:
    deadline = time.monotonic() + 120
    while words not in stderr.read_text():
        assert time.monotonic() < deadline, stderr.read_text()[-3_000:]
        time.sleep(0.2)


def promote(version: str) -> None:
    MlflowClient().set_registered_model_alias(NAME, "champion", version)


def test_the_served_version_follows_the_alias_and_survives_a_broken_one(tmp_path: Path) -> None:
    folders = [write_classifier(tmp_path / f"classifier{seed}", seed=seed) for seed in (1, 2, 3)]
    versions = [register(folder, NAME) for folder in folders]
    first, second = (
        Classifier.load(folder).predict_probabilities(TEXTS).max(axis=1).tolist() for folder in folders[:2]
    )
    broken = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{versions[2]}"))
    (broken / "artifacts" / "classifier" / "tokenizer.json").unlink()
    promote(versions[0])
    stderr = tmp_path / "stderr"
    with serving(URI, "--poll-seconds", "0.3", stderr=stderr) as address:
        assert scores(address) == pytest.approx(first, abs=1e-6)
        promote(versions[1])
        wait_until_scores_are(address, second)
        promote(versions[2])
        wait_until_told(stderr, f"{NAME} version 3 does not start: its server ended with exit code 1")
        wait_until_scores_are(address, second)
        assert stderr.read_text().count("moved from version 2 to version 3") == 1
        promote(versions[0])
        wait_until_scores_are(address, first)
    told = stderr.read_text()
    assert f"{URI} moved from version 1 to version 2" in told and "followed version 2 answers" in told
    assert "moved from version 2 to version 1" in told
    assert told.count("moved from version 2 to version 3") == 1  # Refused once, and not tried again.


def test_a_registry_that_does_not_answer_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(uri: str) -> tuple[str, str, str]:
        raise ModelError("connection refused", "")

    def gone(uri: str) -> tuple[str, str, str]:
        raise MlflowException("503")

    watch = AliasWatch(URI, "1")
    for answer in (silent, gone, silent, lambda uri: (NAME, "2", ""), silent):
        monkeypatch.setattr("tasks.serving.serve_model.resolve_model", answer)
        watch.look()
    assert capsys.readouterr().err.splitlines() == [
        f"{URI} is not found (connection refused); serving continues",
        f"{URI} is found again: version 2",
        f"{URI} is not found (connection refused); serving continues",
    ]
    assert watch.version == "2"
