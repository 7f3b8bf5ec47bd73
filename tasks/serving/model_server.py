"""Servers as child processes: a registered version over HTTP, the pages of MLflow and Prefect. Loopback by default."""

import http.client
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.pyfunc.scoring_server import get_cmd

from lstm_model.errors import ModelError
from tasks.registry.registered_model import whole_version
from tasks.runtime.child_processes import BIN, Process, child_process, interruptible
from tasks.runtime.ports import LOOPBACK, check_port
from tasks.runtime.server_checks import without_password
from tasks.runtime.state.local_state import artifacts_root

# `uvicorn` with its imports made before it is told its arguments and environment, which name the model.
_SERVER = """
import json, os, sys, mlflow.pyfunc.scoring_server, uvicorn.main
arguments, variables = json.load(sys.stdin)
os.environ.update(variables)
uvicorn.main.main(arguments)
"""


@dataclass(frozen=True)
class ModelServer:
    """The server of one version, on its way up or answering."""

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
def checked_server(name: str, version: str, *, port: int) -> Iterator[ModelServer]:
    """Run `mlflow models serve` on a version, on the loopback interface; stop it when the block ends.

    What it prints is kept in a file, for the reason if it fails, and off the terminal.
    """
    # The command itself; `mlflow` would import all its others before, which takes 2 s.
    command = [sys.executable, "-P", "-c", "from mlflow.models.cli import commands; commands()", "serve"]
    command += ["--model-uri", f"models:/{name}/{version}", "--env-manager", "local"]
    command += ["--host", LOOPBACK, "--port", str(port)]
    with _scratch() as scratch, (scratch / "server.log").open("wb") as output:
        started = time.monotonic()
        # A model that comes from another machine is left behind in the temporary folder: it gets one that is removed.
        environment = {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "TMPDIR": str(scratch)}
        with child_process(command, environment, output=output) as process:
            yield ModelServer(process, LOOPBACK, port, scratch / "server.log", started)


@contextmanager
def waiting_server() -> Iterator[tuple[Process, Path]]:
    """A process that imports MLflow and then waits for `start_server`, and a folder; both end with the block."""
    with _scratch() as scratch, child_process([sys.executable, "-P", "-c", _SERVER], {}, stdin_pipe=True) as process:
        yield process, scratch


def start_server(
    waiting: tuple[Process, Path], name: str, version: str, *, host: str, port: int, workers: int
) -> ModelServer:
    """Have a waiting server download a version and become the process that `mlflow models serve` ends in.

    The command itself looks up, downloads and imports one after the other, which takes longer
    (docs/decisions/0011-serve-without-the-command.md). Raises ModelError where the version cannot be downloaded.
    """
    process, folder = waiting
    started = time.monotonic()
    with whole_version(name, version):
        model = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(folder))
    line, variables = get_cmd(model, port, host, nworkers=workers)
    changed = {key: value for key, value in variables.items() if os.environ.get(key) != value}
    _tell(process, [shlex.split(line)[1:], changed])
    return ModelServer(process, host, port, None, started)


def _tell(process: Process, value: object) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:  # It has ended already, which its exit code tells.
        stdin.write(json.dumps(value).encode())


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lstm-text-serve-") as scratch:
        yield Path(scratch)


def last_error(log: str) -> str:
    """Return the last error that a server's output names, without its traceback; "" where it names none."""
    named = [line for line in log.splitlines() if re.match(r"(?!INFO|WARNING)[A-Za-z_][\w.]*: +\S", line)]
    # What `mlflow` itself says of the server that it started comes last and tells nothing.
    telling = [line for line in named if "returned non zero return code" not in line]
    return telling[-1][:300] if telling else ""


def serve_pages(*, mlflow_port: int, prefect_port: int) -> int:
    """Run the MLflow and Prefect servers on loopback until one ends or Ctrl-C; return the exit code."""
    for port in (mlflow_port, prefect_port):
        check_port(LOOPBACK, port)
    uri = mlflow.get_tracking_uri()
    # Without the parameter MLflow opens its pages for agents; runs are behind the switch at the top left.
    mlflow_pages = f"http://{LOOPBACK}:{mlflow_port}/#/experiments?workflowType=machine_learning"
    print(f"MLflow   {mlflow_pages}\nPrefect  http://{LOOPBACK}:{prefect_port}", file=sys.stderr)
    if uri.startswith("http"):
        raise ModelError(
            expected="MLFLOW_TRACKING_URI to be a database that pages can be served from",
            found=without_password(uri),
            remedy="That server has its pages already: open its address, and start `prefect server start` alone.",
        )
    tracking = [f"{BIN}/mlflow", "server", "--artifacts-destination", str(artifacts_root())]
    tracking += ["--host", LOOPBACK, "--workers", "1", "--port", str(mlflow_port)]
    prefect = [sys.executable, "-P", "-m", "tasks.runtime.state.prefect_database", "prefect", "server", "start"]
    prefect += ["--host", LOOPBACK, "--port", str(prefect_port)]
    environment = {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_BACKEND_STORE_URI": uri,  # Not on the command line, where `ps` would show a password.
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
