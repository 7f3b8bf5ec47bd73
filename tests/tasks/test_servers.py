"""A server that is not there, or is another one, is told before any work: exit code 4, a remedy, no password."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.cli import main
from tasks.runtime.state.credentials import without_password
from tests.samples import write_tiny_file


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    """A web server that knows nothing of MLflow or Prefect, and answers every address with a page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one paragraph that the command leaves on stderr; its exit code is 4."""
    assert main(list(arguments)) == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("lstm-text: ") and "\n" not in error and "Traceback" not in error
    return error


@pytest.mark.parametrize("command", [["train", "--data.path"], ["score", "--output", "out.csv"], ["predict"]])
def test_no_mlflow_server_at_the_address(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    uri = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    error = run(capsys, *command, str(write_tiny_file(tmp_path / "a.csv")))
    assert uri in error and "MLFLOW_TRACKING_URI" in error and "refused" in error


def test_no_prefect_server_at_the_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    uri = f"http://127.0.0.1:{unused_port()}/api"
    with temporary_settings({PREFECT_API_URL: uri}):
        error = run(capsys, "train", "--data.path", str(write_tiny_file(tmp_path / "a.csv")))
    assert uri in error and "PREFECT_API_URL" in error


def test_another_server_at_the_address(
    other_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other_server)
    assert "No MLflow server answers at" in (error := run(capsys, "predict", "a text")) and "<html>welcome" in error


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("postgresql://me:secret@127.0.0.1:{port}/mlflow", "No database opens at postgresql://me:***@127.0.0.1"),
        ("postgresql+psycopg://me:secret@127.0.0.1/mlflow", "pip install 'lstm-text[postgres]'"),
        ("postgresql://me:secret@127.0.0.1:port/mlflow", "postgresql://me:***@127.0.0.1:port"),
        ("http://", "http:// (MLFLOW_TRACKING_URI)"),
        ("127.0.0.1", "http://HOST:PORT or postgresql://"),
    ],
)
def test_an_address_that_cannot_be_used(
    uri: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(port=unused_port()))
    error = run(capsys, "predict", "a text")
    assert words in error and "secret" not in error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:p@ss@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("at https://me:a/b@host/x and https://you:c@host", "at https://me:***@host/x and https://you:***@host"),
        ("http://127.0.0.1:5000 and sqlite:////a@b.db", "http://127.0.0.1:5000 and sqlite:////a@b.db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?user=me&password=secret&a=b", "postgresql://host/db?user=me&password=***&a=b"),
    ],
)
def test_no_password_is_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown
