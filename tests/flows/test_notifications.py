"""A failed run is told: a log line, an event, and the message block that the environment names."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow, flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client

from flows.scoring import score_texts
from flows.training import train_text_classifier
from flows.tuning import tune_text_classifier
from lstm_model.errors import UsageError
from tasks.runs.notifications import EVENT, VARIABLE, model_name, tell_failure

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow(name="failing", on_failure=[tell_failure], on_crashed=[tell_failure])
def failing(model_uri: str, error: str) -> None:
    raise {
        "usage": UsageError(expected="a file", found="none", remedy="Name one."),
        "bug": ValueError("boom"),
        "interrupt": KeyboardInterrupt(),
    }[error]


def events_of(name: str) -> list[dict[str, Any]]:
    """Return the payloads of the model's events; they reach the server a moment later."""
    wanted = {"filter": {"event": {"name": [EVENT]}, "resource": {"id": [f"lstm-text.model.{name}"]}}}
    with get_client(sync_client=True) as client:
        for _ in range(100):
            found = client.request("POST", "/events/filter", json=wanted).json()["events"]
            if found:
                return [event["payload"] for event in found]
            time.sleep(0.1)
    return []


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the address of an HTTP server on loopback and the list that its messages go to."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", received
    server.shutdown()
    server.server_close()


def test_a_failure_is_an_event_with_model_reason_and_link() -> None:
    with pytest.raises(UsageError):
        failing("models:/told@champion", "usage")
    (payload,) = events_of("told")
    assert payload["reason"] == "Expected a file; found none. Name one."
    assert (payload["flow"], payload["state"], payload["model_name"]) == ("failing", "Failed", "told")
    assert "/runs/flow-run/" in payload["flow_run_url"] and payload["mlflow_run_url"] is None


def test_the_block_that_the_environment_names_gets_a_message(
    webhook: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, received = webhook
    block = CustomWebhookNotificationBlock(name="hook", url=url, json_data={"title": "{{subject}}", "text": "{{body}}"})
    block.save("told", overwrite=True)
    monkeypatch.setenv(VARIABLE, "custom-webhook/told")
    with pytest.raises(ValueError, match="boom"):
        failing("models:/messaged/3", "bug")
    (message,) = received
    assert message["title"].startswith("failing failed: ")
    assert message["text"].splitlines()[0] == "Model messaged: ValueError: boom"


@pytest.mark.parametrize("name", ["custom-webhook/nobody-saved-this", "secret/no-messenger", "nonsense", "slow/own"])
def test_a_block_that_cannot_send_never_hides_the_failure(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Secret(value="x").save("no-messenger", overwrite=True)
    monkeypatch.setenv(VARIABLE, name)
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="boom"):
        failing("models:/unheard@champion", "bug")
    assert f"block that {VARIABLE} names failed" in caplog.text
    assert events_of("unheard")


def test_an_address_where_nobody_listens_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    CustomWebhookNotificationBlock(name="dead", url="http://127.0.0.1:9/", json_data={"text": "{{body}}"}).save(
        "dead", overwrite=True
    )
    monkeypatch.setenv(VARIABLE, "custom-webhook/dead")
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="boom"):
        failing("models:/deaf@champion", "bug")
    assert "ConnectError" in caplog.text


def test_ctrl_c_is_no_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        failing("models:/interrupted@champion", "interrupt")
    with pytest.raises(ValueError, match="boom"):
        failing("models:/after@champion", "bug")
    assert events_of("after")
    with get_client(sync_client=True) as client:
        wanted = {"filter": {"resource": {"id": ["lstm-text.model.interrupted"]}}}
        assert not client.request("POST", "/events/filter", json=wanted).json()["events"]


@pytest.mark.parametrize("told", [train_text_classifier, score_texts, tune_text_classifier])
def test_every_flow_tells_of_failures_and_crashes(told: Flow[..., Any]) -> None:
    assert told.on_failure_hooks == [tell_failure] and told.on_crashed_hooks == [tell_failure]


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"registration": {"model_name": "mine"}}, "mine"),
        ({"registration": {}}, "text-classifier"),
        ({"model_uri": "models:/mine@champion", "path": Path("x.csv")}, "mine"),
        ({"model_uri": "models:/mine/7"}, "mine"),
        ({}, "text-classifier"),
    ],
)
def test_the_model_is_read_from_the_runs_parameters(parameters: dict[str, Any], name: str) -> None:
    assert model_name(parameters) == name
