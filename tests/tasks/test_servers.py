"""A server that is not there, or is another one, is told before any work: exit code 4, a remedy, no password."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import pytest

from flows.cli import main
from lstm_model.errors import ModelError
from tasks.runtime.server_checks import check_prefect_server, check_tracking_server
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


class Answers(BaseHTTPRequestHandler):
    """Answers each path as `pages` says, a login wanted or not, and notes what was asked."""

    pages: ClassVar[dict[str, tuple[int, str]]] = {}
    login: ClassVar[str | None] = None
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        status, body = self.pages.get(path, (404, "<html>no page here"))
        if self.login and not path.endswith("/health") and self.headers.get("Authorization") != self.login:
            status, body = 401, "You are not authenticated."
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def server_that_answers(pages: dict[str, tuple[int, str]], login: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Run a server; yield its address and the list of the paths that it was asked for."""
    handler = type("Own", (Answers,), {"pages": pages, "login": login, "asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
        server.shutdown()


EXPERIMENTS, MODELS = "/api/2.0/mlflow/experiments/search", "/api/2.0/mlflow/registered-models/search"
MLFLOW, HEALTHY = {EXPERIMENTS: (200, "{}"), MODELS: (200, "{}")}, {"/health": (200, "OK")}
BASIC, TOKEN = "Basic bWU6c2VjcmV0", "Bearer secret"
USER = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}
SET_LOGIN = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."


@pytest.mark.parametrize(
    ("pages", "login", "variables", "words"),
    [
        (MLFLOW, None, {}, ""),
        (MLFLOW, BASIC, USER, ""),
        (MLFLOW, TOKEN, {"MLFLOW_TRACKING_TOKEN": "secret"}, ""),
        (
            MLFLOW | HEALTHY,
            BASIC,
            {},
            f"refuses requests without a login: HTTP 401, 'You are not auth{{}}. {SET_LOGIN}",
        ),
        (MLFLOW, TOKEN, USER, "refuses this login: HTTP 401, 'You are not authenticated.'. Correct MLFLOW_TRACKING_"),
        (
            HEALTHY | {EXPERIMENTS: (403, "Invalid Host header")},
            None,
            {},
            "HTTP 403, 'Invalid Host header'. Set MLFLOW",
        ),
        (HEALTHY, None, {}, "No MLflow server answers at {uri} (MLFLOW_TRACKING_URI): HTTP 404, '<html>no page here'"),
        (HEALTHY | {EXPERIMENTS: (503, "busy")}, None, {}, "HTTP 503, 'busy'. Start it or correct MLFLOW_TRACKING_URI"),
        ({EXPERIMENTS: (200, "<html>log in")}, None, {}, "HTTP 200, '<html>log in'"),
    ],
)
def test_an_mlflow_server_that_refuses_is_asked_once_and_named_with_the_variables_to_set(
    pages: dict[str, tuple[int, str]], login: str | None, variables: dict[str, str], words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with server_that_answers(pages, login) as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        error = error_of(check_tracking_server)
    assert asked == [EXPERIMENTS] and "secret" not in error
    check_words(error, words, uri)


def test_a_registry_of_its_own_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_that_answers({EXPERIMENTS: (200, "{}")}) as (uri, asked):
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", uri)
        assert f"at {uri} (MLFLOW_REGISTRY_URI): HTTP 404" in error_of(check_tracking_server)
    assert asked == [MODELS]


FLOWS = "/api/flows/filter"
PREFECT = {"/api/health": (200, "true"), FLOWS: (200, "[]")}


@pytest.mark.parametrize(
    ("pages", "login", "path", "words"),
    [
        (PREFECT, None, "/api", ""),
        ({FLOWS: PREFECT[FLOWS]}, None, "/api", ""),
        (PREFECT, BASIC, "/api", "without a login: HTTP 401, {}. Set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY."),
        (PREFECT | {FLOWS: (403, "no")}, None, "/api", "without a login: HTTP 403, 'no'. Set PREFECT_"),
        (PREFECT, None, "", "correct PREFECT_API_URL: a Prefect server answers at {uri}/api; unset it"),
        (PREFECT | {"/health": (200, "<html>")}, None, "/", "HTTP 200, '<html>'. Start it or {}: a Prefect server"),
        ({}, None, "/api", "No Prefect server answers at {uri}/api (PREFECT_API_URL): HTTP 404, {} ends in /api)"),
        ({"/api/health": (503, "busy")}, None, "/api", "HTTP 503, 'busy'. Start it or correct PREFECT_API_URL"),
    ],
)  # fmt: skip
def test_a_prefect_server_that_refuses_is_named_with_the_variables_to_set(
    pages: dict[str, tuple[int, str]], login: str | None, path: str, words: str
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with server_that_answers(pages, login) as (uri, asked), temporary_settings({PREFECT_API_URL: uri + path}):
        error = error_of(lambda: check_prefect_server(uri + path))
    assert len(asked) == len(set(asked))  # Nothing was asked again.
    check_words(error, words, uri)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (".env", "PREFECT_API_URL=http://a/api", "PREFECT_API_URL in {here}/.env"),
        ("prefect.toml", "[api]\nurl='http://a/api'", "api.url in {here}/prefect.toml"),
        ("pyproject.toml", "[tool.prefect.api]\nurl='http://a/api'", "api.url in {here}/pyproject.toml"),
        ("other.toml", "", "PREFECT_API_URL of profile team in {here}/profiles.toml"),
    ],
)
def test_a_wrong_prefect_address_says_which_file_it_came_from(
    file: str, text: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from prefect.context import use_profile
    from prefect.settings import PREFECT_API_URL, PREFECT_PROFILES_PATH, Profile

    (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_PROFILES_PATH: tmp_path / "profiles.toml"}
    with use_profile(Profile(name="team", settings=settings), include_current_context=False):
        error = error_of(lambda: check_prefect_server("http://127.0.0.1:9/api"))
    assert f"({words.format(here=tmp_path)}): " in error and f"correct {words.format(here=tmp_path)}" in error
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert "(PREFECT_API_URL): " in error_of(lambda: check_prefect_server("http://127.0.0.1:9/api"))


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (check_tracking_server, "certificate verify failed{}. Set MLFLOW_TRACKING_SERVER_CERT_PATH to the file"),
        (lambda: check_prefect_server("https://a/api"), "certificate verify failed{}. Set PREFECT_API_SSL_CERT_FILE"),
    ],
)  # fmt: skip
def test_a_certificate_of_an_unknown_authority_names_the_variable(
    check: Callable[[], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx
    import requests
    from prefect.settings import PREFECT_API_URL, temporary_settings

    failed = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
    monkeypatch.setattr(requests.Session, "send", Mock(side_effect=requests.exceptions.SSLError(failed)))
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", Mock(side_effect=httpx.ConnectError(failed)))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://a")
    with temporary_settings({PREFECT_API_URL: "https://a/api"}):
        check_words(error_of(check), words, "")


def error_of(check: Callable[[], None]) -> str:
    """Return the message of the ModelError that the check raises, "" if it raises none."""
    try:
        check()
    except ModelError as error:
        return str(error)
    return ""


def check_words(error: str, words: str, uri: str) -> None:
    """Check that the words, in which {} stands for anything, are in the error; "": that there is no error."""
    pattern = re.escape(words.replace("{uri}", uri)).replace(re.escape("{}"), ".*")
    assert re.search(pattern, error) if words else error == ""


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
        ("file:///tmp/mlruns", "is 'file:///tmp/mlruns', which is not the address of a server or database"),
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
