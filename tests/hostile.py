"""What the tests of hostile files share."""

import faulthandler
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm_model.data.reading import read_chunks

Rows = list[tuple[str | None, str | None]]
ROW, RIGHT = b"text,label\na,x\n", [("a", "x")]


def read(path: Path) -> Rows:
    """Return text and label of all rows; where a column is missing, no rows."""
    rows: Rows = []
    for chunk in read_chunks(path, {"text": "text", "label": "label"}):
        if {"text", "label"} <= set(chunk):
            rows += chunk[["text", "label"]].itertuples(index=False, name=None)
    return rows


class TooSlow(BaseException):
    """No Exception: a reader that turns what it catches into a refusal must not hide it."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TooSlow where the block takes longer."""

    def stop(*_: object) -> None:
        raise TooSlow(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(3 * seconds, exit=True, file=sys.__stderr__)  # For what no signal stops.
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """After the block, check that the folder is as it was."""

    def state() -> list[tuple[object, ...]]:
        return sorted((str(one), (at := one.lstat()).st_mode, at.st_size, at.st_mtime_ns) for one in folder.rglob("*"))

    before = state()
    yield
    assert state() == before
