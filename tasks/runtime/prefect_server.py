"""Prefect's server for the time of a command, where the environment names none.

Prefect would start one itself, in the command's process group: Ctrl-C ends that server before the run's end can be
reported to it (Prefect then retries for over a minute), and a `kill -9` leaves it running, with 250 MB. This one has
its own process group and ends with the command in both cases.
"""

import atexit
import http.client
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import IO

from lstm_model.errors import ModelError
from tasks.runtime.child_processes import Process, child_process, ending, interruptible
from tasks.runtime.ports import LOOPBACK, free_port
from tasks.runtime.server_checks import check_prefect_server
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import DEFAULT_PREFECT_UI
from tasks.runtime.state.tracking_database import prepare_tracking_database
from tasks.runtime.terminal import running, show, show_our_records

START_SECONDS = 180.0
_own: dict[str, Process] = {}  # By address.


@contextmanager
def use_prefect_server() -> Iterator[None]:
    """Make a Prefect server answer at PREFECT_API_URL until this process ends: the one named there, or a new one.

    A new one starts while the block runs (the flow's imports) and the tracking database is opened: all take seconds. It
    answers when the block ends. From now on SIGTERM is a KeyboardInterrupt, as Ctrl-C is. Raises ModelError where the
    server does not answer.
    """
    import prefect.context
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_AUTH_STRING  # A profile may set them as well.

    started = time.monotonic()
    kept = ExitStack()
    # At exit, not when a flow is done: Prefect sends the last log lines and events while the interpreter shuts down.
    atexit.register(kept.close)
    kept.enter_context(interruptible())
    if PREFECT_API_URL.value():
        check_prefect_server(PREFECT_API_URL.value())
        with running("start"):
            yield
        show_our_records()
        return
    port = free_port()
    # As Prefect starts its own: without the services that only a permanent server needs.
    command = [sys.executable, "-P", "-m", "tasks.runtime.state.prefect_database", "uvicorn"]
    command += ["--factory", "prefect.server.api.server:create_app"]
    command += ["--host", LOOPBACK, "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    quiet = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    # What a server for others may have set, in the environment or in a file.
    quiet |= {"PREFECT_SERVER_API_BASE_PATH": "/api", "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "false"}
    log = kept.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  closed at exit
    process = kept.enter_context(child_process(command, quiet, output=log))
    with running("start"):
        yield
        show_our_records()  # The block's imports have reset the handlers.
        from tasks.runtime.retries import mlflow_client  # Slow, but the flow has imported it.

        prepare_tracking_database()
        mlflow_client().search_experiments(max_results=1)  # Opening the database at first use takes seconds.
        _wait_until_up(port, process, log)
    # Links are for later, when `make ui` shows what this server recorded; its own address ends with the command.
    os.environ.setdefault("PREFECT_UI_URL", DEFAULT_PREFECT_UI)
    os.environ["PREFECT_API_URL"] = f"http://{LOOPBACK}:{port}/api"
    if login := PREFECT_SERVER_API_AUTH_STRING.value():  # The server has read it, too.
        os.environ["PREFECT_API_AUTH_STRING"] = login
    _own[os.environ["PREFECT_API_URL"]] = process
    prefect.context.refresh_global_settings_context()
    show(f"{'start':20}{time.monotonic() - started:7.1f} s  MLflow, and Prefect's server for this command")


def is_own_server() -> bool:
    """Return whether this process started the Prefect server, for itself."""
    return os.environ.get("PREFECT_API_URL") in _own


def lost_server() -> ModelError | None:
    """Return an error if the server that this process started has ended; waiting for it would take minutes."""
    process = _own.get(os.environ.get("PREFECT_API_URL", ""))
    if process is None or process.poll() is None:
        return None
    return ModelError(
        f"Prefect's server, which this command started, ended with {ending(process.poll())}.",
        "Run the same command again, with more memory if that is the reason: it continues.",
    )


def _wait_until_up(port: int, process: Process, log: IO[bytes]) -> None:
    """Wait for the server in a process; raises ModelError if it ends or is too slow."""
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/api/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.05)
    code = process.poll()  # None: it is too slow.
    log.seek(0)
    silent = "its log is empty" if code is None else ending(code)
    lines = log.read().decode("utf-8", "replace").strip().splitlines() or [silent]
    reason = next((line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception): ", line)), lines[-1])[:300]
    database = PREFECT_SERVER_DATABASE_CONNECTION_URL.value() or ""
    remedy = "Start one with `prefect server start` and set PREFECT_API_URL to its address."
    if database and not database.startswith("sqlite"):
        remedy = f"Its database is {without_password(database)}: correct PREFECT_SERVER_DATABASE_CONNECTION_URL."
    found = f"did not answer within {START_SECONDS:.0f} s" if code is None else "ended"
    raise ModelError(f"Prefect's server on {LOOPBACK}:{port} {found}: {without_password(reason)}.", remedy)
