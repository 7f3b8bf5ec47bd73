"""What people's environments hold: proxies, a notebook's plot backend, a password, a console that is not UTF-8.

Slow: each training and scoring is a process of its own, two of them with an MLflow server behind a proxy.
"""

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.flows.trainings import FLAGS, answer, environment
from tests.samples import write_tiny_file
from tests.team.servers import free_port, prefect_server, running

BIN = Path(sys.executable).parent
SECRET = "planted-säcret/1"
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "KERAS_BACKEND": "torch"}
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
ALL_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_tiny_file(tmp_path_factory.mktemp("data") / "tiny.csv", rows=66)
    path.write_text(path.read_text("utf-8").replace(",owl", ",Käuzchen 枭"), encoding="utf-8")
    return path


def lstm_text(
    *arguments: str, environment: dict[str, str], shell: str = "", encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """Run the command; shell: redirections. encoding: of what it prints."""
    command = ["bash", "-c", f'exec "$@" {shell}', "bash", str(BIN / "lstm-text"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, timeout=300, encoding=encoding, check=False)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A training from a notebook, with two kinds of proxy and a console that shows ASCII alone; its state folder."""
    state = tmp_path_factory.mktemp("state")
    hostile = {**NOTEBOOK, **PROXIES["dead"], **PROXIES["socks as GNOME writes it"], "PYTHONIOENCODING": "ascii:strict"}
    return state, lstm_text("train", "--data.path", str(data), *FLAGS, environment={**environment(state), **hostile})


def test_a_training_in_a_hostile_environment_ends_with_a_champion(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    finished = answer(trained[1])
    assert finished["promoted"] and "a bug" not in trained[1].stderr and "Traceback" not in trained[1].stderr


def test_what_a_console_cannot_show_is_replaced_and_json_is_escaped(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    state = trained[0]
    found = lstm_text(
        "predict", "ein Käuzchen", "--json", environment={**environment(state), "PYTHONIOENCODING": "ascii"}
    )
    lines = found.stdout.splitlines()
    assert found.returncode == 0 and "\tein K?uzchen" in lines[0]
    assert lines[-1].isascii() and "probability_Käuzchen 枭" in str(json.loads(lines[-1]))
    console = {**environment(state), "PYTHONIOENCODING": "cp1252"}
    windows = lstm_text("predict", "ein 枭 über", environment=console, encoding="cp1252")
    assert windows.returncode == 0 and "\tein ? über" in windows.stdout
    told = lstm_text("history", "--model-name", "枭", environment={**environment(state), "PYTHONIOENCODING": "ascii"})
    assert told.returncode == 4 and told.stderr.isascii()


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_does_its_work(
    closed: str, trained: tuple[Path, subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    if closed == ">&-":
        flags = ["train", "--data.path", str(data), *FLAGS]
    else:
        flags = ["score", str(data), "--output", str(tmp_path / "scores.csv")]
    found = lstm_text(*flags, environment=environment(trained[0]), shell=closed)
    assert found.returncode == 0 and found.stdout == ""
    assert closed == ">&-" or len((tmp_path / "scores.csv").read_text("utf-8").splitlines()) == 67


def test_a_scoring_behind_a_proxy_that_refuses_all_is_done(
    gateway: ThreadingHTTPServer, trained: tuple[Path, subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{gateway.server_port}"
    proxied = {**environment(trained[0]), **NOTEBOOK, "HTTP_PROXY": address, "ALL_PROXY": address}
    found = lstm_text("score", str(data), "--output", str(tmp_path / "scores.parquet"), environment=proxied)
    assert found.returncode == 0, found.stderr[-2_000:]
    assert (tmp_path / "scores.parquet").exists() and "a bug" not in found.stderr


@pytest.mark.parametrize("case", PROXIES)
def test_every_client_reaches_this_machine_past_the_proxy(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    import requests
    from websockets.sync.client import connect
    from websockets.sync.server import serve

    from tasks.runtime.state.proxies import bypass_proxies_on_loopback

    set_proxies(monkeypatch, PROXIES[case])
    bypass_proxies_on_loopback()
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for host in ("127.0.0.1", "localhost"):
            address = f"http://{host}:{server.server_port}/"
            assert httpx.get(address).status_code == requests.get(address, timeout=5).status_code == 403
        server.shutdown()
    with serve(lambda socket: socket.send("hello"), "127.0.0.1", 0) as sockets:
        threading.Thread(target=sockets.serve_forever, daemon=True).start()
        with connect(f"ws://127.0.0.1:{sockets.socket.getsockname()[1]}") as socket:
            assert socket.recv() == "hello"


def test_a_proxy_stays_in_force_for_other_machines(
    gateway: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx
    import requests

    from tasks.runtime.state.proxies import bypass_proxies_on_loopback

    address = f"http://127.0.0.1:{gateway.server_port}"
    set_proxies(monkeypatch, {"HTTP_PROXY": address, "NO_PROXY": "intranet.example"})
    bypass_proxies_on_loopback()
    assert os.environ["NO_PROXY"] == "intranet.example,127.0.0.1,localhost,::1,0.0.0.0"
    assert httpx.get("http://tracking.example/").status_code == 403
    assert requests.get("http://tracking.example/", timeout=5).status_code == 403
    set_proxies(monkeypatch, {"HTTP_PROXY": address, "ALL_PROXY": f"socks://{NOBODY}"})
    bypass_proxies_on_loopback()
    assert requests.get("http://tracking.example/", timeout=5).status_code == 403
    set_proxies(monkeypatch, {"HTTP_PROXY": address, "NO_PROXY": "*"})
    bypass_proxies_on_loopback()
    assert os.environ["NO_PROXY"] == "*"


def set_proxies(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ALL_NAMES:
        for either in (name, name.lower()):
            monkeypatch.setenv(either, "")  # So that what the product sets is undone, too.
            monkeypatch.delenv(either)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_password_is_used_behind_a_proxy_and_written_nowhere(
    gateway: ThreadingHTTPServer, data: Path, tmp_path: Path
) -> None:
    """The folder holds both databases, all artifacts, Prefect's home and what the servers and the commands print."""
    port = free_port()
    gateway.RequestHandlerClass.backend = port  # type: ignore[attr-defined]
    (tmp_path / "state").mkdir()
    store = f"sqlite:///{tmp_path / 'server.db'}"
    server = [str(BIN / "mlflow"), "server", "--backend-store-uri", store, "--workers", "1", "--port", str(port)]
    server += ["--artifacts-destination", str(tmp_path / "artifacts"), "--host", "127.0.0.1"]
    plain = environment(tmp_path / "state")
    proxied = {
        **plain, "HTTP_PROXY": f"http://127.0.0.1:{gateway.server_port}",
        "MLFLOW_TRACKING_URI": "http://planted:planted-s%C3%A4cret%2F1@tracking.example",
    }  # fmt: skip
    quiet = {**plain, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with prefect_server(tmp_path) as proxied["PREFECT_API_URL"], running(server, quiet, tmp_path / "server.log"):
        wait_for_server(port)
        train = lstm_text("train", "--data.path", str(data), *FLAGS, environment=proxied)
        wrong = lstm_text("compare", "0" * 32, environment=proxied)
    finished = answer(train)
    assert finished["promoted"] and gateway.RequestHandlerClass.passed > 50  # type: ignore[attr-defined]
    assert finished["run_url"].startswith("http://tracking.example/#/experiments/")
    assert wrong.returncode == 4 and finished["run_id"][:8] in wrong.stderr  # It asked the server, and was answered.
    for number, found in enumerate((train, wrong)):
        (tmp_path / f"stdout{number}").write_text(found.stdout, "utf-8")
        (tmp_path / f"stderr{number}").write_text(found.stderr, "utf-8")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "server.db", "prefect.db", "report.html"} - {path.name for path in files} <= {"mlflow.db"}
    spelled = ("planted-s", base64.b64encode(f"planted:{SECRET}".encode()).decode()[:16])
    assert [path for path in files for secret in spelled if secret.encode() in path.read_bytes()] == []


def wait_for_server(port: int) -> None:
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            threading.Event().wait(0.1)
        finally:
            connection.close()
    raise AssertionError("the MLflow server does not come up")
