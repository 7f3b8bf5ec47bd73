"""Progress that nobody can be shown costs the work nothing."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.artifacts import create_progress_artifact
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_RETRY_EXTRA_CODES, temporary_settings

from tasks.runtime.artifacts import ask_once


@pytest.fixture
def failing_server() -> Iterator[tuple[str, list[str]]]:
    """A server that answers HTTP 500, as Prefect's does while its disk is full; its address and the paths asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(500)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_fails_is_told_of_progress_once_and_stops_nothing(failing_server: tuple[str, list[str]]) -> None:
    url, asked = failing_server
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_RETRY_EXTRA_CODES: {500}}):
        assert ask_once(create_progress_artifact, 0.0, key="some-progress", description="some work") is None
    assert len(asked) == 1
