"""Commands of this environment as child processes, stopped with all that they started when their block ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import IO, ParamSpec

from lstm_model.errors import ModelError
from tasks.runtime.interrupts import exit_code_of, hangup_interrupts

STOP_SECONDS = 10.0
BIN = Path(sys.executable).parent
Process = subprocess.Popen[bytes]
P = ParamSpec("P")
# Linux sends the child SIGTERM when its parent ends, by `kill -9` too. The request survives exec.
_TIED = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); os.execv(sys.argv[1], sys.argv[1:])"
)


@contextmanager
def child_process(
    command: Sequence[str],
    environment: Mapping[str, str | None],
    *,
    output: IO[bytes] | int | None = None,
    stdin_pipe: bool = False,
) -> Iterator[Process]:
    """Run a command until the block ends; then stop it and everything that it started.

    environment: variables added to those of this process; None removes one. output: where stdout and stderr go; None:
    where ours go. stdin_pipe: its stdin is a pipe that this process writes to.
    """
    # MLflow runs `uvicorn` from PATH: this environment's bin folder goes first, activated or not.
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    tie = [sys.executable, "-I", "-S", "-c", _TIED] if sys.platform == "linux" else []
    # It writes to our streams or to a file: in our encoding, without errors.
    encoding = f"{getattr(sys.stderr, 'encoding', None) or 'utf-8'}:replace"
    variables = {**os.environ, "PATH": path, "PYTHONIOENCODING": encoding, **environment}
    process = subprocess.Popen(
        [*tie, *command],
        env={name: value for name, value in variables.items() if value is not None},
        start_new_session=True,  # Its own process group, which is stopped as a whole, workers too.
        stdin=subprocess.PIPE if stdin_pipe else None,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
    )
    try:
        yield process
    finally:  # Ask the group to end, wait for all of it, and kill the rest.
        _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _group_lives(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _group_lives(process):
            _signal_group(process, signal.SIGKILL)
        process.wait()


def ending(code: int | None) -> str:
    """Return how a process ended: its exit code or the signal that killed it, and when the system sends that."""
    if code is None or code >= 0:
        return f"exit code {code}"
    memory = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{memory}"


def exit_code(process: Process, what: str) -> int:
    """Return the exit code of a process that ended by itself. Raises ModelError if a signal killed it."""
    code = process.wait()
    if code < 0:
        raise ModelError(
            f"{what} ended with {ending(code)}.", "Start it again, with more memory if that is the reason."
        )
    return code


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM and SIGHUP a KeyboardInterrupt, so that children are stopped; for the main thread."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with hangup_interrupts():
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def until_interrupted(serve: Callable[P, int]) -> Callable[P, int]:
    """Make Ctrl-C, SIGTERM and SIGHUP end a serving function with the exit code of an interrupted command."""

    @wraps(serve)
    def call(*args: P.args, **kwargs: P.kwargs) -> int:
        with interruptible():
            try:
                return serve(*args, **kwargs)
            except KeyboardInterrupt as stopped:
                return exit_code_of(stopped)

    return call


def _group_lives(process: Process) -> bool:
    if process.poll() is not None:
        with suppress(ChildProcessError):  # As process 1 of a container we inherit its children.
            os.waitpid(-process.pid, os.WNOHANG)
    return _signal_group(process, 0)


def _signal_group(process: Process, number: int) -> bool:
    """Send a signal, 0 for none; return whether the group has a process that can get it."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS refuses where only ended processes are left.
        return False
    return True
