"""Run state whose folder was moved or copied: the tracking database's locations, absolute for MLflow, are rewritten.

The database records the folder that it was last used in, as a tag of the experiment "Default".
"""

import json
import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lstm_model.errors import ModelError
from tasks.runtime.state.sqlite_files import transaction

TAG = "lstm_text.state_root"
LOCATIONS = [
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("datasets", "dataset_source"),
    ("trace_tags", "value"),
]


@dataclass(frozen=True)
class Relocation:
    """The folders that the state was in before, and how many locations were rewritten."""

    moved_from: list[str]
    locations: int
    left_behind: int
    """How many of these have their files only in a former folder."""


def follow_move(path: Path, root: Path) -> None:
    """Rewrite the locations in the database at path if its state was moved or copied to root since its last use.

    Raises ModelError where that was before the database recorded its folder: `lstm-text relocate` is for that.
    """
    with transaction(path) as database:
        if not _has(database, "experiment_tags", "value"):  # Not MLflow's, or of another version: MLflow reports it.
            return
        known = _remembered(database)
        former = _former_roots(database, root) if known is None else set()
    if former:
        raise ModelError(
            f"This run state was moved or copied to {root}: {path.name} has the files of its runs below "
            f"{', '.join(map(str, sorted(former)))}.",
            "Run `lstm-text relocate`, which rewrites the locations.",
        )
    if known is None:
        with suppress(sqlite3.OperationalError), transaction(path, write=True) as database:  # It may be read-only.
            remember_root(database, root)
    elif not _same_place(known, root):
        done = relocate(path, root)
        if done.moved_from:  # Otherwise another process was first.
            logging.getLogger(__name__).warning(
                "This run state was moved or copied from %s to %s; %d locations were rewritten.",
                ", ".join(done.moved_from), root, done.locations,
            )  # fmt: skip


def relocate(path: Path, root: Path) -> Relocation:
    """Rewrite, in one transaction, each location below a folder that this state was in before."""
    with transaction(path, write=True) as database:
        former = _former_roots(database, root)
        rewritten = _rewrite(database, former, root) if former else []
        remember_root(database, root)
    left = sum(old.exists() and not new.exists() for old, new in rewritten)
    return Relocation(sorted(map(str, former)), len(rewritten), left)


def remember_root(database: sqlite3.Connection, root: Path) -> None:
    statement = "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, 0)"
    database.execute(statement, (TAG, root.as_uri()))


def _remembered(database: sqlite3.Connection) -> Path | None:
    query = "SELECT value FROM experiment_tags WHERE key = ? AND experiment_id = 0"
    row = database.execute(query, (TAG,)).fetchone()
    return _local(row[0]) if row else None


def _former_roots(database: sqlite3.Connection, root: Path) -> set[Path]:
    """Return the other folders that the database gives for itself, and for runs and models with files below root."""
    former = {known} if (known := _remembered(database)) else set()
    for table, key, column, folder in [
        ("runs", "run_uuid", "artifact_uri", "artifacts"),
        ("logged_models", "model_id", "artifact_location", "artifacts/models"),
    ]:
        rows = database.execute(f"SELECT {key}, {column} FROM {table}") if _has(database, table, column) else ()
        for name, location in rows:
            path, tail = _local(location), Path(folder, name, "artifacts")
            if path and path.parts[-len(tail.parts) :] == tail.parts and (root / tail).exists():
                former.add(path.parents[len(tail.parts) - 1])
    return {old for old in former if not _same_place(old, root)}


def _rewrite(database: sqlite3.Connection, former: set[Path], root: Path) -> list[tuple[Path, Path]]:
    """Rewrite the locations below former roots; return the paths before and after."""
    rewritten = []
    for table, column in (pair for pair in LOCATIONS if _has(database, *pair)):
        for row, value in database.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
            location = _location_in(value)
            old = _local(location)
            holding = [folder for folder in {*former, root} if old and old.is_relative_to(folder)]
            # One folder may be inside another: the deepest one counts.
            deepest = max(holding, key=lambda folder: len(folder.parts), default=root)
            if deepest != root:
                new = root / old.relative_to(deepest)
                # In the form that it had: a URI or a path, alone or in a JSON object.
                text = new.as_uri() if location.startswith("file:") else str(new)
                value = text if location == value else json.dumps({**json.loads(value), "uri": text})
                database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
                rewritten.append((old, new))
    return rewritten


def _location_in(value: str | None) -> Any:
    """Return what may be the location in a column's value; a dataset's is in a JSON object."""
    if value and value.startswith("{"):
        with suppress(ValueError):
            return json.loads(value).get("uri")
    return value


def _local(location: Any) -> Path | None:
    """Return a location in this machine's file system as a path; None for anything else."""
    if not isinstance(location, str):
        return None
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path, errors="surrogateescape"))
    return Path(location) if Path(location).is_absolute() else None


def _same_place(one: Path, other: Path) -> bool:
    """Return whether two paths are the same folder, which may be mounted at both."""
    return one == other or (one.exists() and one.samefile(other))


def _has(database: sqlite3.Connection, table: str, column: str) -> bool:
    return bool(database.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, column)).fetchone())
