"""A copy of the project in which the commands of a page run, one after the other, as a reader runs them."""

import getpass
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PROJECT = Path(__file__).resolve().parents[1]
COPIED = ("Makefile", "pyproject.toml", "requirements.lock", "requirements-gpu.lock", "data", "deployments", "flows",
          "lstm_model", "tasks")  # fmt: skip
# The default ports of the product, by the variable of the Makefile that sets another. Free ones are taken instead.
PORTS = {"UI_PORT": 5001, "PREFECT_PORT": 4200, "SERVE_PORT": 5002}
SECONDS = 600
STOP_SECONDS = 60


class PageSession:
    """Runs blocks of commands in one shell, and servers beside it. Outputs have the product's default ports."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.logs = folder / "lstm-text", folder / "logs"
        for made in (self.folder, self.logs):
            made.mkdir()
        for name in COPIED:
            if (PROJECT / name).is_dir():
                shutil.copytree(PROJECT / name, self.folder / name, ignore=shutil.ignore_patterns("fetched"))
                continue
            shutil.copyfile(PROJECT / name, self.folder / name)
            os.utime(self.folder / name, (0, 0))  # Older than the environment, or make sets it up for this folder.
        if not Path(sys.prefix, ".installed").exists():
            raise RuntimeError(f"{sys.prefix} was not made by make setup.")
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environment = self._environment()
        self.shell = self._start("exec bash --noprofile --norc", "shell", stdin=subprocess.PIPE)
        self.servers: list[subprocess.Popen[bytes]] = []
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in [*reversed(self.servers), self.shell]:
            stop(process)

    def run(self, commands: str) -> tuple[int, str]:
        """Run commands in the shell, which keeps its variables; return the first exit code but 0, and all output."""
        self.count += 1
        script, output, code = (self.logs / f"{self.count}.{kind}" for kind in ("sh", "out", "code"))
        script.write_text(self._with_free_ports(commands), "utf-8")
        line = (
            f"first=; trap 'first=${{first:-$?}}' ERR; source {script} > {output} 2>&1 < /dev/null; trap - ERR; "
            f"echo ${{first:-0}} > {code}.part; mv {code}.part {code}\n"
        )
        assert self.shell.stdin is not None
        self.shell.stdin.write(line.encode())
        self.shell.stdin.flush()
        wait_for(lambda: code.exists() or self.shell.poll() is not None, f"the end of:\n{commands}")
        if not code.exists():
            raise RuntimeError(f"The shell ended in:\n{commands}")
        return int(code.read_text()), self._shown(output)

    def serve(self, command: str, ready: list[str]) -> str:
        """Start a server; return its output once each address in `ready` answers and each other text was printed."""
        name = f"server-{len(self.servers) + 1}"
        server = self._start(self._with_free_ports(command), name)
        self.servers.append(server)
        log = self.logs / f"{name}.out"

        def is_ready() -> bool:
            if server.poll() is not None:
                raise RuntimeError(f"{command} ended with {server.returncode}:\n{self._shown(log)[-2_000:]}")
            printed = self._shown(log)
            return all(answers(self._with_free_ports(sign)) if "://" in sign else sign in printed for sign in ready)

        wait_for(is_ready, f"{ready} from {command}")
        return self._shown(log)

    def _start(self, command: str, name: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        with (self.logs / f"{name}.out").open("wb") as log:
            return subprocess.Popen(["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=stdin,
                                    stdout=log, stderr=log, start_new_session=True)  # fmt: skip

    def _environment(self) -> dict[str, str]:
        # MAKE...: inside `make test`, another make would announce the folders it enters.
        theirs = ("PREFECT_", "MLFLOW_", "MAKE", "LSTM_TEXT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        ports = {name: str(port) for name, port in self.ports.items()}
        own = {"LSTM_TEXT_STATE": str(self.folder / "mlruns"), "VENV": sys.prefix, "COLUMNS": "110", "TERM": "dumb",
               "NO_COLOR": "1", "HOME": str(self.folder.parent)}  # fmt: skip
        return {**kept, **ports, **own}

    def _with_free_ports(self, text: str) -> str:
        for name, port in PORTS.items():
            text = text.replace(f":{port}", f":{self.ports[name]}")
        return text

    def _shown(self, output: Path) -> str:
        """Return an output as the page shows it: with default ports, paths from the project's folder, user `you`."""
        text = output.read_text("utf-8", "replace").replace(f"{self.folder}/", "").replace(str(self.folder), ".")
        for name, port in self.ports.items():
            text = text.replace(f":{port}", f":{PORTS[name]}")
        user = getpass.getuser()
        return re.sub(rf"\b{re.escape(user)}\b", "you".ljust(len(user)), text)


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens, below those that the system gives to others before they are used here."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 30_000)))
            ports.append(probe.getsockname()[1])
    return ports


def answers(url: str) -> bool:
    """Return whether a server answers with status 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError):
        return bool(opener.open(url, timeout=5).status == 200)
    return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until condition() is true. Raises TimeoutError after SECONDS."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {SECONDS} s for {what}")
        time.sleep(0.1)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children as Ctrl-C does; those that stay are killed."""
    if process.stdin:
        process.stdin.close()
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
