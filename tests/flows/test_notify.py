"""deployments/notify.py: the Prefect server sends a message when a run fails. Slow: a real server and processes."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.notify import FLOWS, NAME, save_automation
from flows.monitoring import watch_drift
from flows.scoring import score_texts
from flows.training import train_text_classifier
from flows.tuning import tune_text_classifier
from tests.team.servers import PROJECT, free_port, plain_environment, prefect_server

FLOW = """
import sys
from prefect import flow

@flow(name=sys.argv[1], flow_run_name=sys.argv[2])
def ends():
    raise KeyboardInterrupt if sys.argv[2] == "interrupted" else ValueError("boom")

ends()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server with its event services; yields the environment of its clients."""
    folder = tmp_path_factory.mktemp("server")
    with prefect_server(folder) as api:
        yield plain_environment(folder, PREFECT_HOME=str(folder / "prefect"), PREFECT_API_URL=api)


@pytest.fixture
def client(server: dict[str, str]) -> Iterator[Any]:
    """A client of the server, which this process uses until the test ends."""
    with temporary_settings({PREFECT_API_URL: server["PREFECT_API_URL"]}), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the address of an HTTP server on loopback and the list of the messages that it gets."""
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


def notify(environment: dict[str, str], block: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "deployments/notify.py", block]
    return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=120)


def save_block(name: str, url: str) -> None:
    message = {"title": "{{subject}}", "text": "{{body}}"}
    CustomWebhookNotificationBlock(name=name, url=url, json_data=message).save(name, overwrite=True)


def test_a_failed_run_sends_one_message_and_ctrl_c_and_other_flows_none(
    server: dict[str, str], client: Any, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    url, received = webhook
    save_block("unused", "http://127.0.0.1:9/")
    save_block("hook", url)
    save_automation("custom-webhook/unused")
    saved = notify(server, "custom-webhook/hook")
    assert saved.returncode == 0 and "through custom-webhook/hook" in saved.stdout, saved.stderr
    assert [automation.name for automation in client.read_automations()] == [NAME], "the second call updates it"

    # The server handles events in order: when the last message is there, those of earlier runs are too.
    runs = [
        ("score-texts", "interrupted"),
        ("another-flow", "failed"),
        ("score-texts", "failed"),
        ("score-texts", "last"),
    ]
    for names in runs:
        subprocess.run([sys.executable, "-c", FLOW, *names], env=server, capture_output=True, timeout=120)
    states = {run.name: run.state.name for run in client.read_flow_runs() if run.name in ("interrupted", "last")}
    assert states == {"interrupted": "Crashed", "last": "Failed"}
    deadline = time.monotonic() + 60
    while len(received) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [message["title"] for message in received] == ["score-texts Failed: failed", "score-texts Failed: last"]
    reason, link = received[0]["text"].splitlines()
    assert "ValueError: boom" in reason and "/runs/flow-run/" in link


def test_a_disabled_automation_stays_disabled(
    server: dict[str, str], client: Any, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    save_block("hook", webhook[0])
    save_automation("custom-webhook/hook")
    (automation,) = client.read_automations_by_name(NAME)
    client.pause_automation(automation.id)
    again = notify(server, "custom-webhook/hook")
    assert again.returncode == 0 and "is disabled" in again.stdout, again.stderr
    assert [found.enabled for found in client.read_automations()] == [False]
    client.resume_automation(automation.id)
    assert save_automation("custom-webhook/hook")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("custom-webhook/unsaved", "no block custom-webhook/unsaved"),
        ("nonsense", "no block nonsense"),
        ("secret/silent", "cannot send messages"),
    ],
)
def test_a_block_that_cannot_send_is_refused(block: str, words: str, client: Any) -> None:
    Secret(value="x").save("silent", overwrite=True)
    before = client.read_automations()
    with pytest.raises(ValueError, match=words):
        save_automation(block)
    assert client.read_automations() == before


def test_the_command_reports_what_is_missing(server: dict[str, str]) -> None:
    unset = {name: value for name, value in server.items() if name != "PREFECT_API_URL"}
    silent = {**server, "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"}
    for environment, words in (
        (server, "no block slack-webhook/x"),
        (unset, "is not set"),
        (silent, "does not answer"),
    ):
        result = notify(environment, "slack-webhook/x")
        assert result.returncode == 2 and words in result.stderr and "Traceback" not in result.stderr


def test_it_watches_the_flows_of_this_project() -> None:
    flows = [train_text_classifier, tune_text_classifier, score_texts, watch_drift]
    assert [flow.name for flow in flows] == FLOWS
