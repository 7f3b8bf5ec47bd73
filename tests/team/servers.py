"""Real servers for the tests of a team's set-up: a throwaway PostgreSQL, and child processes that leave nothing."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases import give_prefect_database

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
UP_SECONDS = 120


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server on loopback with the databases of deployments/create_databases.sql."""

    bin: Path
    port: int
    password: str

    def uri(self, database: str, scheme: str = "postgresql") -> str:
        return f"{scheme}://lstm_text:{self.password}@127.0.0.1:{self.port}/{database}"

    def run(self, sql: str, database: str = "postgres") -> str:
        """Return what psql prints for the statements, values only."""
        command = [self.bin / "psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", self.uri(database)]
        return subprocess.run(command, input=sql, capture_output=True, text=True, check=True).stdout.strip()


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs: on PATH, or the newest of Debian's; None where there is none."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = (
        [Path(on_path).resolve().parent] if on_path else [folder for folder in folders if (folder / "initdb").exists()]
    )
    return found[-1] if found else None


@contextmanager
def postgres_server(programs: Path) -> Iterator[Postgres]:
    """Run a cluster of its own in a temporary folder, by a user who is not root, until the block ends."""
    # Below /tmp and not below pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="lstm-text-postgres-"))
    server = Postgres(programs, free_port(), secrets.token_hex(16))
    password = folder / "password"
    password.write_text(server.password)
    user: dict[str, Any] = {}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (folder, password):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    data = folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "lstm_text", "--auth=scram-sha-256", f"--pwfile={password}"]
    try:
        subprocess.run([*initdb, "--no-sync", "--encoding=UTF8"], cwd=folder, check=True, capture_output=True, **user)
        options = ["-h", "127.0.0.1", "-p", str(server.port), "-k", str(folder), "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            command = [programs / "postgres", "-D", data, *options]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **user)
        try:
            wait_for_postgres(server, process, folder / "log")
            server.run((PROJECT / "deployments" / "create_databases.sql").read_text("utf-8"))
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # Fast shutdown: sessions are ended.
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder)


def wait_for_postgres(server: Postgres, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.run("SELECT 1")
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def tracking(uri: str) -> Iterator[None]:
    """Have MLflow in this process track runs elsewhere until the block ends."""
    # Not set_tracking_uri: what it sets stays in force for the tests that follow, over the environment.
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", uri)
        patched.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
        yield


def plain_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a fresh login: nothing of this session's MLflow, Prefect or run state."""
    ours = ("PREFECT_", "MLFLOW_", "LSTM_TEXT_", "PG")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {
        **kept, "HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **more,
    }  # fmt: skip


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server from the checkout until the block ends; its whole process group is stopped."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(environment), cwd=PROJECT, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        for number, seconds in ((signal.SIGINT, 20), (signal.SIGKILL, 20)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
                break


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """Run a Prefect server with its database in folder/prefect until the block ends; yield the address of its API."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    give_prefect_database(folder / "prefect" / "prefect.db")
    environment = plain_environment(folder, PREFECT_HOME=str(folder / "prefect"), PREFECT_API_URL=address)
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    healthy = [sys.executable, "-c", f"from urllib.request import urlopen; urlopen('{address}/health', timeout=5)"]
    with running(command, environment, folder / "prefect.log") as process:
        wait_until(healthy, process, environment)
        yield address


def wait_until(healthy: Sequence[str], process: "subprocess.Popen[bytes]", environment: Mapping[str, str]) -> None:
    """Return when the health check, a command, succeeds."""
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if subprocess.run(healthy, env=dict(environment), capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError(f"{process.args} is not healthy; exit code {process.poll()}")
