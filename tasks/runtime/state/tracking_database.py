"""The embedded tracking database: created completely before MLflow opens it, and updated when its folder is moved."""

import os
import sqlite3
from pathlib import Path

from lstm_model.errors import ModelError, UsageError
from tasks.runtime.state.local_state import artifacts_root, state_root
from tasks.runtime.state.relocation import Relocation, follow_move, relocate, remember_root
from tasks.runtime.state.sqlite_files import make_whole, transaction

FILLED_WHEN_EMPTY = {"alembic_version", "workspaces"}  # MLflow fills these before there is anything to keep.


def prepare_tracking_database(*, make: bool = True) -> None:
    """Create the embedded tracking database if needed and update its locations, before MLflow opens it.

    Takes milliseconds where nothing has to be done. make: if off, a missing database is not created. Raises ModelError
    where it cannot be opened, or where the state was moved before the database recorded its folder.
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
            f"The SQLite database {path} cannot be opened: {error}.",
            "Replace it with a backup, or set LSTM_TEXT_STATE to a new folder.",
        ) from None


def relocate_state() -> Relocation:
    """Rewrite the locations of run state that was moved. Raises UsageError where there is no embedded database."""
    path = embedded_database()
    if path is None or not path.exists():
        raise UsageError(
            f"There is no tracking database below {state_root()}.",
            "Set LSTM_TEXT_STATE to the folder that was moved, and leave MLFLOW_TRACKING_URI unset.",
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
    """Return False where there is no database, or an incomplete one because MLflow was killed while it created it.

    MLflow creates its tables in many steps, some of which it cannot repeat; the experiment "Default" comes last. So a
    database without rows was never completed, and nothing is lost with it.
    """
    if not path.exists():
        return False
    try:
        with transaction(path) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            # Experiments first: the other tables are read only if that one is empty.
            rest = sorted(tables - FILLED_WHEN_EMPTY, key=lambda name: (name != "experiments", name))
            return any(database.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in rest)
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        return True  # Damaged, or another kind of file: it is not replaced.
