"""The embedded tracking database: made whole before MLflow opens it, and following its folder where that is moved."""

import os
import sqlite3
from pathlib import Path

from lstm_model.errors import ModelError, UsageError
from tasks.runtime.state.local_state import artifacts_root, state_root
from tasks.runtime.state.relocation import Relocation, follow_move, relocate, remember_root
from tasks.runtime.state.sqlite_files import make_whole, transaction

FILLED_WHEN_EMPTY = {"alembic_version", "workspaces"}  # What MLflow writes before there is anything to keep.


def prepare_tracking_database(*, make: bool = True) -> None:
    """Have the embedded tracking database whole and its locations below the state folder, before MLflow opens it.

    Takes milliseconds where nothing is to be done. make: off, one that is not there is left for later. Raises
    ModelError where it cannot be opened, or the state was moved before the database kept its folder.
    """
    path = embedded_database()
    if path is None or not (make or _is_whole(path)):
        return
    try:
        make_whole(path, _make, is_whole=_is_whole)
        follow_move(path, state_root())
    except sqlite3.DatabaseError as error:
        if "locked" in str(error) or "full" in str(error):  # May pass.
            raise
        raise ModelError(
            expected=f"the runs in the SQLite database {path}",
            found=str(error),
            remedy="Put a copy of it in its place, or set LSTM_TEXT_STATE to a new folder.",
        ) from None


def relocate_state() -> Relocation:
    """Rewrite the locations of run state that was moved; raises UsageError where there is no embedded database."""
    path = embedded_database()
    if path is None or not path.exists():
        raise UsageError(
            expected=f"a tracking database below {state_root()}",
            found="none",
            remedy="Set LSTM_TEXT_STATE to the folder that was moved, and leave MLFLOW_TRACKING_URI unset.",
        )
    return relocate(path, state_root())


def embedded_database() -> Path | None:
    """Return the SQLite file below the state folder that MLFLOW_TRACKING_URI names, or None."""
    scheme, _, rest = os.environ.get("MLFLOW_TRACKING_URI", "").partition(":///")
    path = Path(rest.partition("?")[0]).resolve()
    return path if scheme.partition("+")[0] == "sqlite" and path.is_relative_to(state_root()) else None


def _make(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{path}", artifacts_root().as_uri()).engine.dispose()
    with transaction(path, write=True) as database:
        remember_root(database, state_root())


def _is_whole(path: Path) -> bool:
    """Return False where there is no database, or one that MLflow was killed in making, without it being whole.

    MLflow's tables are made in many steps, some of which it cannot repeat; the experiment "Default" comes last. So a
    database without any row was never finished, and nothing is lost with it.
    """
    if not path.exists():
        return False
    try:
        with transaction(path) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            # The one that tells comes first: all others are looked at only where it is empty.
            rest = sorted(tables - FILLED_WHEN_EMPTY, key=lambda name: (name != "experiments", name))
            return any(database.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in rest)
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        return True  # Damaged, or another kind of file: nothing to replace.
