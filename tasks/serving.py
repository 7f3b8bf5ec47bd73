"""Servers as child processes: a registered version over HTTP, the pages of MLflow and Prefect. Loopback by default."""

import http.client
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow

from lstm_model.errors import ModelError
from tasks.child_processes import BIN, Process, child_process, interruptible
from tasks.local_state import artifacts_root
from tasks.servers import without_password

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ModelServer:
    """`mlflow models serve` of one version, on its way up or answering."""

    process: Process
    host: str
    port: int
    log: Path | None
    started: float

    def connect(self, *, timeout: float) -> http.client.HTTPConnection:
        """Return a connection, which no proxy of the environment comes between."""
        host = LOOPBACK if self.host == "0.0.0.0" else self.host
        return http.client.HTTPConnection(host, self.port, timeout=timeout)

    def wait_until_up(self, *, seconds: float) -> str | None:
        """Return None once it takes requests; otherwise why it does not."""
        while self.process.poll() is None:
            if self._answers():
                return None
            if time.monotonic() > self.started + seconds:
                return f"its server did not answer within {seconds:g} s"
            time.sleep(0.05)
        return self.ending()

    def ending(self) -> str:
        """Return how the server ended, in one line."""
        error = last_error(self.log.read_text("utf-8", errors="replace")) if self.log else ""
        return f"its server ended with exit code {self.process.poll()}" + (f": {error}" if error else "")

    def _answers(self) -> bool:
        connection = self.connect(timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def model_server(
    name: str, version: str, *, host: str = LOOPBACK, port: int, workers: int = 1, quiet: bool = False
) -> Iterator[ModelServer]:
    """Run `mlflow models serve` on a version in this environment; stop it when the block ends.

    quiet: keep what it prints in a file, for the reason if it fails, and off the terminal.
    """
    command = [f"{BIN}/mlflow", "models", "serve", "--model-uri", f"models:/{name}/{version}"]
    command += ["--env-manager", "local", "--host", host, "--port", str(port), "--workers", str(workers)]
    # A model that comes from another machine is left behind in the temporary folder: it gets one that is removed.
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lstm-text-serve-")))
        environment = {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "TMPDIR": str(scratch)}
        log = scratch / "server.log" if quiet else None
        output = stack.enter_context(log.open("wb")) if log else None
        started = time.monotonic()
        process = stack.enter_context(child_process(command, environment, output=output))
        yield ModelServer(process, host, port, log, started)


def last_error(log: str) -> str:
    """Return the last error that a server's output names, without its traceback; "" where it names none."""
    named = [line for line in log.splitlines() if re.match(r"(?!INFO|WARNING)[A-Za-z_][\w.]*: +\S", line)]
    # What `mlflow` itself says of the server that it started comes last and tells nothing.
    telling = [line for line in named if "returned non zero return code" not in line]
    return telling[-1][:300] if telling else ""


def free_port() -> int:
    """Return a port of the loopback interface on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Raise ModelError where something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ModelError(
                expected=f"port {port} on {host} to be free",
                found=error.strerror or str(error),
                remedy="Stop what listens there, or choose another port (make SERVE_PORT=, UI_PORT=, PREFECT_PORT=).",
            ) from None


def serve_pages(*, mlflow_port: int, prefect_port: int) -> int:
    """Run the MLflow and Prefect servers on loopback until one ends or Ctrl-C; return the exit code."""
    for port in (mlflow_port, prefect_port):
        check_port(LOOPBACK, port)
    uri = mlflow.get_tracking_uri()
    print(f"MLflow   http://{LOOPBACK}:{mlflow_port}\nPrefect  http://{LOOPBACK}:{prefect_port}", file=sys.stderr)
    if uri.startswith("http"):
        raise ModelError(
            expected="MLFLOW_TRACKING_URI to be a database that pages can be served from",
            found=without_password(uri),
            remedy="That server has its pages already: open its address, and start `prefect server start` alone.",
        )
    tracking = [f"{BIN}/mlflow", "server", "--backend-store-uri", uri, "--artifacts-destination", str(artifacts_root())]
    tracking += ["--host", LOOPBACK, "--workers", "1", "--port", str(mlflow_port)]
    prefect = [f"{BIN}/prefect", "server", "start", "--host", LOOPBACK, "--port", str(prefect_port)]
    environment = {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_UI_API_URL": f"http://{LOOPBACK}:{prefect_port}/api",
    }
    with interruptible(), ExitStack() as stack:
        try:
            processes = [stack.enter_context(child_process(command, environment)) for command in (tracking, prefect)]
            while all(process.poll() is None for process in processes):
                time.sleep(0.2)
            return next(process.returncode for process in processes if process.returncode is not None)
        except KeyboardInterrupt:
            return 130
