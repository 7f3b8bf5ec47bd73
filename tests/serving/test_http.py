"""The champion behind a real `lstm-text serve`, asked over HTTP. Slow: a server starts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests

from lstm_model.config import DataConfig, ModelConfig, RegistrationConfig, TrainingConfig
from tests.samples import write_tiny_file

LABELS = {"cat", "dog", "owl"}


@pytest.fixture(scope="module")
def server(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from flows.training import train_text_classifier

    train_text_classifier(
        data=DataConfig(path=write_tiny_file(tmp_path_factory.mktemp("data") / "tiny.csv")),
        model=ModelConfig(embedding_dim=8, lstm_units=4),
        training=TrainingConfig(epochs=1),
        registration=RegistrationConfig(model_name="served"),
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The environment's bin folder is not on PATH, as when the environment is not activated.
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    command = [f"{Path(sys.executable).parent}/lstm-text", "serve", "--model-uri", "models:/served@champion"]
    process = subprocess.Popen([*command, "--port", str(port)], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/ping", process)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
        with socket.socket() as probe:  # Nothing is left behind on the port.
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}; exit code {process.poll()}")


def ask(server: str, body: Any) -> requests.Response:
    data = body if isinstance(body, str) else json.dumps(body)
    return requests.post(f"{server}/invocations", data=data, headers={"Content-Type": "application/json"}, timeout=60)


def test_records_and_inputs_get_the_same_answer(server: str) -> None:
    records = ask(server, {"dataframe_records": [{"text": "the purr came"}]})
    inputs = ask(server, {"inputs": ["the purr came"]})
    assert records.status_code == inputs.status_code == 200
    answer = records.json()["predictions"][0]
    assert answer == inputs.json()["predictions"][0]
    assert answer["label"] in LABELS
    assert answer["score"] == max(answer[f"probability_{label}"] for label in LABELS)
    assert sum(answer[f"probability_{label}"] for label in LABELS) == pytest.approx(1, abs=1e-5)


def test_odd_texts_get_an_answer(server: str) -> None:
    odd = ["", "   ", "qzxv", "😀🎉", "word " * 10_000, "nul \x00 inside", "שלום", "[PAD] [UNK]"]
    response = ask(server, {"dataframe_records": [{"text": text} for text in odd]})
    assert response.status_code == 200
    assert [answer["label"] in LABELS for answer in response.json()["predictions"]] == [True] * len(odd)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"dataframe_records": [{"body": "x"}]}, "['text']"),
        ({"dataframe_records": [{"text": None}]}, "found null in row 0"),
        ({"dataframe_records": [{"text": "fine"}, {"text": 5}]}, "not text: int 5 in row 1"),
        ({"dataframe_records": [{"text": ["a"]}]}, "not text: list"),
        ("{broken", "JSON"),
    ],
)
def test_bad_requests_get_400_and_say_why(server: str, body: Any, words: str) -> None:
    response = ask(server, body)
    assert response.status_code == 400
    assert words in response.json()["message"]
    assert ask(server, {"inputs": ["still there"]}).status_code == 200
