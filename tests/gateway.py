"""A proxy with a login in front of a server, and what people's variables say of proxies."""

import base64
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

SECRET = "planted-säcret/1"
NOBODY = "127.0.0.1:9"  # The discard port: nothing answers there.
PROXIES = {
    "dead": {"HTTP_PROXY": f"http://{NOBODY}", "HTTPS_PROXY": f"http://{NOBODY}"},
    "dead, others excepted": {"http_proxy": f"http://{NOBODY}", "NO_PROXY": "example.com", "no_proxy": "example.com"},
    "without a scheme": {"HTTP_PROXY": NOBODY, "ALL_PROXY": NOBODY},
    "socks": {"ALL_PROXY": f"socks5://{NOBODY}"},
    "socks as GNOME writes it": {"ALL_PROXY": f"socks://{NOBODY}/", "NO_PROXY": "localhost"},
    "socks 4": {"all_proxy": f"socks4://{NOBODY}"},
    "nonsense": {"ALL_PROXY": "http://[", "HTTP_PROXY": "http://host:port"},
}


class Gateway(BaseHTTPRequestHandler):
    """A proxy: passes what has the right password on to `backend`, refuses the rest; without a backend, all of it."""

    backend: int | None = None
    passed = 0

    def _pass_on(self) -> None:
        wanted = "Basic " + base64.b64encode(f"planted:{SECRET}".encode()).decode()
        health = self.path.endswith("/health")
        if self.backend is None or (self.headers.get("Authorization") != wanted and not health):
            self.send_error(403 if self.backend is None else 401)
            return
        type(self).passed += 1
        path = self.path.split("tracking.example", 1)[-1]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection("127.0.0.1", self.backend)
        kept = {name: value for name, value in self.headers.items() if name not in ("Host", "Authorization")}
        there.request(self.command, path, body, kept)
        answered = there.getresponse()
        content = answered.read()
        self.send_response(answered.status)
        self.send_header("Content-Type", answered.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        there.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # do_GET, do_POST ...
            return self._pass_on
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[ThreadingHTTPServer]:
    class Own(Gateway):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
