"""What a command shows in the terminal: a line per stage, bars, warnings. What libraries print goes to a log file."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from tasks.runtime.state.local_state import PROJECT, logs_root

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
    path = _open_log(command, folder or logs_root())
    with path.open("ab") as log, os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace") as shown:
        # tee ends when the last process that writes to it has ended; Ctrl-C must not end it before.
        tee = verbose and subprocess.Popen(["tee", "-i", "-a", path], stdin=subprocess.PIPE, stdout=shown)
        sys.stderr.flush()
        os.dup2(tee.stdin.fileno() if tee and tee.stdin else log.fileno(), 2)
        _terminal = shown
        try:
            show_our_records()
            show(f"Log: {_short(path)}")
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


def _short(path: Path) -> Path:
    """Return the path relative to the working folder, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
