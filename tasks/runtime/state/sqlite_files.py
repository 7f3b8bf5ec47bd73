"""SQLite databases that appear whole or not at all, whatever ends the process that makes one."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

PATIENCE_SECONDS = 90.0


def make_whole(path: Path, make: Callable[[Path], None], *, is_whole: Callable[[Path], bool] = Path.exists) -> None:
    """Have a whole database at path: make(beside) fills a file beside it, which then takes its name.

    One process at a time makes it, others wait. is_whole(path): whether the file there stays as it is.
    """
    if is_whole(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.making")
    with FileLock(f"{beside}.lock"):
        if is_whole(path):
            return
        _remove(beside)  # Left by a process that was killed.
        make(beside)
        with closing(sqlite3.connect(beside)) as database:
            # All is in this one file then; an error while another connection is open, whose log would stay behind.
            database.execute("PRAGMA journal_mode = DELETE")
        _remove(path)
        beside.replace(path)


def _remove(path: Path) -> None:
    """Remove a database, then its logs: SQLite would play an old one into the next database of that name."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@contextmanager
def transaction(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """A transaction on a database that is there, committed when the block ends without an error.

    A locked database is waited for; after PATIENCE_SECONDS raises sqlite3.OperationalError.
    """
    # Short waits: Ctrl-C is seen between them.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1.0, isolation_level=None)) as database:
        _begin(database, "BEGIN IMMEDIATE" if write else "BEGIN", until=time.monotonic() + PATIENCE_SECONDS)
        yield database
        database.execute("COMMIT")


def _begin(database: sqlite3.Connection, statement: str, *, until: float) -> None:
    while True:
        try:
            database.execute(statement)
            database.execute("SELECT 1 FROM sqlite_master").fetchone()  # BEGIN alone locks nothing.
            return
        except sqlite3.OperationalError as error:
            database.rollback()
            if "locked" not in str(error) or time.monotonic() > until:
                raise
