"""The server of a registered version over HTTP, as a child process."""

import http.client
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.pyfunc.scoring_server import get_cmd

from tasks.registry.registered_model import check_ours, whole_version
from tasks.runtime.child_processes import Process, child_process, ending
from tasks.runtime.ports import REACHED_AT

SCRATCH = "lstm-text-serve-"
# Starts `uvicorn` with its imports done before it reads the arguments and the environment, which name the model.
_SERVER = """
import json, os, sys
from tasks.runtime.garbage import search_less_often
search_less_often()
import mlflow.pyfunc.scoring_server, uvicorn.main
arguments, variables = json.load(sys.stdin)
os.environ.update(variables)
uvicorn.main.main(arguments)
"""


@dataclass(frozen=True)
class ModelServer:
    """A process that imports MLflow and waits for `start_server`, which makes it the server of a version."""

    process: Process
    folder: Path  # For the version's files.
    log: Path | None
    started: float
    host: str = ""
    port: int = 0

    def connect(self, *, timeout: float) -> http.client.HTTPConnection:
        """Return a direct connection, without a proxy."""
        return http.client.HTTPConnection(REACHED_AT.get(self.host, self.host), self.port, timeout=timeout)

    def wait_until_up(self, *, seconds: float) -> str | None:
        """Return None once the server takes requests; otherwise the reason why it does not."""
        while self.process.poll() is None:
            with closing(self.connect(timeout=2)) as connection, suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/ping")
                if connection.getresponse().status == 200:
                    return None
            if time.monotonic() > self.started + seconds:
                return f"its server did not answer within {seconds:g} s"
            time.sleep(0.05)
        return self.ending()

    def ending(self) -> str:
        """Return how the server ended and the last error in its output, without the traceback, in one line."""
        output = self.log.read_text("utf-8", errors="replace") if self.log else ""
        errors = [line for line in output.splitlines() if re.match(r"(?!INFO|WARNING)[A-Za-z_][\w.]*: +\S", line)]
        return f"its server ended with {ending(self.process.poll())}" + (f": {errors[-1][:300]}" if errors else "")


@contextmanager
def waiting_server(*, quiet: bool = False) -> Iterator[ModelServer]:
    """Yield a process that waits for `start_server`, until the block ends.

    quiet: its output goes to a file, where a failed start shows its reason, not to the terminal.
    """
    command = [sys.executable, "-P", "-c", _SERVER]
    with TemporaryDirectory(prefix=SCRATCH) as scratch, ExitStack() as opened:
        log, started = Path(scratch, "server.log") if quiet else None, time.monotonic()
        output = opened.enter_context(log.open("wb")) if log else None
        process = opened.enter_context(child_process(command, {}, stdin_pipe=True, output=output))
        yield ModelServer(process, Path(scratch), log, started)


def download_served(name: str, version: str, folder: Path) -> Path:
    """Download what a server of a version loads; return its folder. Raises ModelError as `check_ours` does."""
    check_ours(name, version)
    with whole_version(name, version):
        return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(folder)))


def start_server(waiting: ModelServer, model: Path, *, host: str, port: int, workers: int = 1) -> ModelServer:
    """Make a waiting server the process that `mlflow models serve` would end in, with a downloaded version.

    It does several steps of that command at once: docs/decisions/0011-serve-without-the-command.md.
    """
    line, variables = get_cmd(str(model), port, host, nworkers=workers)
    changed = {key: value for key, value in variables.items() if os.environ.get(key) != value}
    assert waiting.process.stdin is not None
    with suppress(BrokenPipeError), waiting.process.stdin as stdin:  # It has ended already; its exit code shows that.
        stdin.write(json.dumps([shlex.split(line)[1:], changed]).encode())
    return replace(waiting, host=host, port=port)
