"""A model behind a real `lstm-text serve`, asked over HTTP: answers, params, bad requests. Slow: a server starts."""

import json
import random
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import requests

from lstm_model.classifier.classifier import Classifier
from tests.models import LABELS, TEXTS, register, write_classifier
from tests.serving.servers import serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("http") / "classifier")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    register(folder, "served")
    with serving("models:/served@champion") as address:
        yield address


def ask(server: str, body: Any, headers: dict[str, str] | None = None) -> requests.Response:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return requests.post(f"{server}/invocations", data=data, headers=JSON if headers is None else headers, timeout=60)


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


def test_params_choose_top_k_threshold_and_abstain_label(server: str, folder: Path) -> None:
    probabilities = Classifier.load(folder).predict_probabilities(["the purr came"])[0]
    best = sorted(range(3), key=lambda place: -probabilities[place])
    params = {"top_k": 2, "threshold": 1.0, "abstain_label": "ask a person", "unknown": 1}
    answer = ask(server, {"inputs": ["the purr came"], "params": params}).json()["predictions"][0]
    assert answer["label"] == "ask a person" and answer["score"] == pytest.approx(probabilities.max())
    assert answer["top_labels"] == [LABELS[place] for place in best[:2]]
    assert answer["top_scores"] == pytest.approx([probabilities[place] for place in best[:2]])
    assert not any(name.startswith("probability_") for name in answer)


@pytest.mark.parametrize("params", [{"top_k": -1}, {"threshold": 1.5}, {"top_k": "two"}, {"abstain_label": 3}, ["x"]])
def test_params_out_of_range_get_400(server: str, params: Any) -> None:
    assert ask(server, {"inputs": ["x"], "params": params}).status_code == 400


def test_ten_thousand_rows_come_back_in_order(server: str, folder: Path) -> None:
    texts = [f"{TEXTS[n % len(TEXTS)]} {'and ' * (n % 50)}" for n in range(10_000)]
    answers = ask(server, {"inputs": texts}).json()["predictions"]
    expected = Classifier.load(folder).predict_probabilities(texts)
    assert [answer["label"] for answer in answers] == [LABELS[best] for best in expected.argmax(axis=1)]


def test_eight_clients_at_once_get_their_own_answers(server: str, folder: Path) -> None:
    requests_of_clients = [[f"{TEXTS[(n + m) % len(TEXTS)]} {m}" for m in range(30)] for n in range(32)]
    with ThreadPoolExecutor(8) as clients:
        responses = list(clients.map(lambda texts: ask(server, {"inputs": texts}), requests_of_clients))
    classifier = Classifier.load(folder)
    for texts, response in zip(requests_of_clients, responses, strict=True):
        scores = [answer["score"] for answer in response.json()["predictions"]]
        assert scores == pytest.approx(classifier.predict_probabilities(texts).max(axis=1).tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"dataframe_records": [{"body": "x"}]}, "['text']"),
        ({"dataframe_records": [{"text": None}]}, "null in row 0"),
        ('{"dataframe_records": [{"text": NaN}]}', "null in row 0"),
        ({"dataframe_records": [{"text": "fine"}, {"text": 5}]}, "not text: int 5 in row 1"),
        ({"dataframe_records": [{"text": ["a"]}]}, "not text: list"),
        ({"dataframe_records": []}, ""),
        ('{"dataframe_records": [{"text": "\\ud800"}]}', "surrogate"),
        ("{broken", "JSON"),
        (b'{"inputs": ["\xff\xfe"]}', ""),
        ("[" * 100_000, ""),
        ("", ""),
        ("null", ""),
        ('{"inputs": []}{"inputs": []}', ""),
    ],
)
def test_bad_requests_get_4xx_and_say_why(server: str, body: Any, words: str) -> None:
    response = ask(server, body)
    assert 400 <= response.status_code < 500, response.text[:300]
    assert words in response.text and response.text.strip()
    assert ask(server, {"inputs": ["still there"]}).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "application/json; charset=latin-1", "application/vnd.apache.parquet", "a;b;c"]
)
def test_a_wrong_content_type_gets_4xx(server: str, content_type: str) -> None:
    response = ask(server, {"inputs": ["x"]}, headers={"Content-Type": content_type})
    assert 400 <= response.status_code < 500 and response.text.strip()


def test_a_request_without_a_content_type_gets_415(server: str) -> None:
    host = urlparse(server)
    with socket.create_connection((host.hostname or "", host.port or 0), timeout=30) as raw:
        raw.sendall(b"POST /invocations HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        assert raw.recv(1_000).startswith(b"HTTP/1.1 415")


def test_random_bytes_never_get_a_5xx(server: str) -> None:
    rng = random.Random(7)
    valid = json.dumps({"dataframe_records": [{"text": "the purr came"}], "params": {"top_k": 1}}).encode()
    types = ["application/json", "text/csv", "application/vnd.apache.parquet", "application/json; charset=utf-8", "x/y"]
    for number in range(150):
        body = bytearray(valid)
        for _ in range(rng.randrange(1, 6)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        response = ask(server, bytes(body[: rng.randrange(len(body))] if number % 3 == 0 else body),
                       headers={"Content-Type": types[number % len(types)]})  # fmt: skip
        assert response.status_code < 500, (bytes(body), response.text[:300])
    assert ask(server, {"inputs": ["still there"]}).status_code == 200


def test_fifty_megabytes_are_refused_and_the_server_goes_on(server: str) -> None:
    response = ask(server, json.dumps({"inputs": ["word " * 10_000_000]}))
    assert response.status_code == 413 and "at most 33,554,432 bytes" in response.text
    assert ask(server, {"inputs": ["word " * 5_000_000]}).status_code == 200  # A long text below the limit is answered.
    too_many = ask(server, json.dumps({"inputs": [""] * 60_000}))
    assert too_many.status_code == 400 and "at most 50,000 rows" in too_many.text
    assert ask(server, {"inputs": ["still there"]}).status_code == 200


def test_a_server_on_ipv6_answers_and_a_closed_terminal_ends_it(server: str, tmp_path: Path) -> None:
    """Needs ::1, which a machine without IPv6 lacks."""
    told = tmp_path / "stderr"
    with serving("models:/served@champion", "--host", "::1", host="::1", stderr=told, stop=signal.SIGHUP) as address:
        assert ask(address, {"inputs": ["the purr came"]}).json()["predictions"][0]["label"] in LABELS
    assert f"Serving served version 1 on {address}/invocations" in told.read_text()
