"""SQLite databases that are created completely or not at all, even if the process is killed."""

import gc
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from lstm_model.errors import causes

PATIENCE_SECONDS = 90.0


def make_whole(path: Path, make: Callable[[Path], None], *, is_whole: Callable[[Path], bool] = Path.exists) -> None:
    """Create the database at path: make(temporary) fills a file next to it, which is then renamed.

    One process at a time does so, others wait. is_whole(path): whether the file at path is complete and stays.
    """
    if is_whole(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.making")
    with FileLock(f"{temporary}.lock"):
        if is_whole(path):
            return
        _remove(temporary)  # Left by a process that was killed.
        make(temporary)
        with closing(sqlite3.connect(temporary)) as database:
            # Puts everything into this one file; fails while another connection, with its own log, is open.
            database.execute("PRAGMA journal_mode = DELETE")
        _remove(path)
        temporary.replace(path)


def _remove(path: Path) -> None:
    """Remove a database, then its logs: SQLite would apply an old log to the next database of that name."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@contextmanager
def transaction(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """A transaction on an existing database, committed when the block ends without an error.

    Waits for a locked database; raises sqlite3.OperationalError after PATIENCE_SECONDS.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    # Short timeouts: Ctrl-C works between them.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1.0, isolation_level=None)) as database:
        while not database.in_transaction:
            try:
                database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                database.execute("SELECT 1 FROM sqlite_master").fetchone()  # BEGIN alone locks nothing.
            except sqlite3.OperationalError as error:
                database.rollback()
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
        yield database
        database.execute("COMMIT")


def release_locks(interrupted: BaseException) -> None:
    """Let go of the SQLite files that this process reads or writes, as the code that was interrupted no longer does.

    An interrupt in the middle of a query leaves a cursor before its last row, in the middle of a write also an open
    transaction; either locks the file. SQLite keeps a closed connection, and its lock, until its cursors are gone, and
    the traceback holds those: https://www.sqlite.org/c3ref/close.html (sqlite3_close_v2).
    """
    for error in causes(interrupted):
        traceback.clear_frames(error.__traceback__)
    for kind, release in ((sqlite3.Cursor, "close"), (sqlite3.Connection, "rollback")):
        for opened in [one for one in gc.get_objects() if isinstance(one, kind)]:
            with suppress(sqlite3.Error):  # Closed, or used by another thread alone.
                getattr(opened, release)()
