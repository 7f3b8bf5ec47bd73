"""What a command shows in the terminal: a line per stage, bars, warnings. What libraries print goes to a log file.

The streams take any text and stay usable: a console that cannot show one, or is closed, does not end a training.
"""

import errno
import logging
import os
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from tasks.runtime.state.local_state import PROJECT, state_root

KEPT_LOGS = 50
OURS = tuple(str(PROJECT / package) + os.sep for package in ("flows", "tasks", "lstm_model"))
_terminal: TextIO | None = None


@contextmanager
def command_terminal(command: str, *, verbose: bool, folder: Path | None = None) -> Iterator[Path]:
    """Send what this process and its children write to stderr to a log file, except our own log records.

    The file descriptor is redirected, not `sys.stderr`: absl and oneDNN print from C++, and children inherit it. In
    the block, `show`, `bar` and records of this project's loggers write to the terminal. verbose: the terminal gets
    all of it. folder: of the log file; None: logs/ in the state folder.
    """
    global _terminal
    path = _open_log(command, folder or state_root() / "logs")
    with path.open("ab") as log, os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace") as shown:
        # tee ends when the last process that writes to it has ended; Ctrl-C must not end it before.
        tee = verbose and subprocess.Popen(["tee", "-i", "-a", path], stdin=subprocess.PIPE, stdout=shown)
        sys.stderr.flush()
        os.dup2(tee.stdin.fileno() if tee and tee.stdin else log.fileno(), 2)
        _terminal = shown
        try:
            show_our_records()
            here = Path.cwd()
            show(f"Log: {path.relative_to(here) if path.is_relative_to(here) else path}")
            yield path
        finally:
            _terminal = None
            sys.stderr.flush()
            os.dup2(shown.fileno(), 2)
            if tee and tee.stdin:
                tee.stdin.close()
                with suppress(subprocess.TimeoutExpired):  # A server that is ending may hold the pipe.
                    tee.wait(timeout=1)


def show(line: str) -> None:
    """Write a line to the terminal of the command, above its bars; nothing where there is no command."""
    if _terminal is not None:
        tqdm.write(line, file=_terminal)
        _terminal.flush()


def bar(total: int | None, what: str, unit: str) -> "tqdm[object]":
    """Return a bar in the terminal, disabled where there is none."""
    return tqdm(total=total, desc=what, unit=f" {unit}", file=_terminal or sys.stderr, disable=None, leave=False)


@contextmanager
def running(what: str) -> Iterator[None]:
    """Say in the terminal what the block does, while it does it; for the main thread."""
    hidden = None if threading.current_thread() is threading.main_thread() else True
    with tqdm(desc=what, bar_format="{desc} ...", file=_terminal or sys.stderr, disable=hidden, leave=False):
        yield


def show_our_records() -> None:
    """Show the records of this project's loggers. Call it again after the import of Prefect, which resets handlers."""
    root = logging.getLogger()
    if _terminal is not None and not any(isinstance(handler, _OurRecords) for handler in root.handlers):
        root.addHandler(_OurRecords(logging.INFO))


class _OurRecords(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.pathname.startswith(OURS) and not hasattr(record, "is_result"):  # The command prints its result.
            level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
            show(f"{level}{record.getMessage()}")


def _open_log(command: str, folder: Path) -> Path:
    """Return the path of a new log file, and remove the oldest ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"), key=lambda path: path.name.partition("-")[2])[: 1 - KEPT_LOGS]:
        old.unlink(missing_ok=True)
    return folder / f"{command}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"


def usable_streams() -> None:
    """Make stdout and stderr replace what they cannot show, and open closed ones on the null device.

    A closed stream (`lstm-text train >&-`) is None in Python, and the next file opened, perhaps a database, would get
    its number: what a library prints would be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number, which is this one.
            os.set_inheritable(opened, True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def leave_closed_terminal() -> None:
    """Open the null device in place of a terminal that was closed: each write to that would be an error."""
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:  # Libraries and bars have copies of stderr.
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
