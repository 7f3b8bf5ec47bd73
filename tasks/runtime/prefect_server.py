"""Prefect's server for the time of a command, where the environment names none.

Prefect would start one itself, in the command's own process group: Ctrl-C ends that server before the run's end can be
told to it (and Prefect then tries for over a minute), and a `kill -9` leaves it behind, with 250 MB. This one has a
group of its own and ends with the command, whatever ends that.
"""

import atexit
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from lstm_model.errors import ModelError
from tasks.runtime.child_processes import Process, child_process, interruptible
from tasks.runtime.ports import LOOPBACK, free_port
from tasks.runtime.server_checks import check_prefect_server
from tasks.runtime.state.local_state import DEFAULT_PREFECT_UI

START_SECONDS = 180.0
_own: list[str] = []


@contextmanager
def use_prefect_server() -> Iterator[None]:
    """Have a Prefect server answer at PREFECT_API_URL until this process ends: the one named there, or one made here.

    One made here comes up while the block runs, which is for the flow's imports, and while the tracking database is
    opened: all take seconds. It answers when the block ends. From now on SIGTERM is a KeyboardInterrupt, as Ctrl-C is.
    Raises ModelError where the server does not answer.
    """
    import prefect.context
    from prefect.settings import PREFECT_API_URL  # A profile may hold it as well.

    kept = ExitStack()
    # At exit, not when a flow is done: Prefect sends the last log lines and events while the interpreter shuts down.
    atexit.register(kept.close)
    kept.enter_context(interruptible())
    if PREFECT_API_URL.value():
        check_prefect_server(PREFECT_API_URL.value())
        yield
        return
    port = free_port()
    # As Prefect starts its own: without the services that only a server which stays up needs.
    command = [sys.executable, "-P", "-m", "tasks.runtime.state.prefect_database", "uvicorn"]
    command += ["--factory", "prefect.server.api.server:create_app"]
    command += ["--host", LOOPBACK, "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    quiet = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    log = kept.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  closed at exit
    process = kept.enter_context(child_process(command, quiet, output=log))
    yield
    from tasks.runtime.tracking import open_tracking_store  # Slow, but the flow has imported it.

    open_tracking_store()
    _wait_until_up(port, process, log)
    # Links are for later, when `make ui` shows what this server wrote down; its own address ends with the command.
    os.environ.setdefault("PREFECT_UI_URL", DEFAULT_PREFECT_UI)
    os.environ["PREFECT_API_URL"] = f"http://{LOOPBACK}:{port}/api"
    _own.append(os.environ["PREFECT_API_URL"])
    prefect.context.refresh_global_settings_context()


def is_own_server() -> bool:
    """Return whether the Prefect server was made by this process, for itself."""
    return os.environ.get("PREFECT_API_URL") in _own


def _wait_until_up(port: int, process: Process, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
        try:
            connection.request("GET", "/api/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    log.seek(0)
    told = log.read().decode("utf-8", "replace").strip().splitlines()
    raise ModelError(
        expected=f"Prefect's server to answer on {LOOPBACK}:{port} within {START_SECONDS:.0f} s",
        found=told[-1][:300] if told else f"exit code {process.poll()}",
        remedy="Start one with `prefect server start`, and name it in PREFECT_API_URL.",
    )
