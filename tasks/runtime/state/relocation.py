"""Run state whose folder was moved or copied: the locations in the tracking database, absolute for MLflow, follow it.

The database keeps the folder that it was last used in, as a tag of the experiment "Default".
"""

import json
import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
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
    """What was done: the folders that the state was in before, and how many locations were rewritten."""

    moved_from: list[str]
    locations: int
    left_behind: int
    """Of these, how many have their files in the folder of before alone."""


def follow_move(path: Path, root: Path) -> None:
    """Rewrite the locations in the database at path if its state was moved or copied to root since its last use.

    Raises ModelError where it was before the database kept its folder: `lstm-text relocate` is for that.
    """
    with transaction(path) as database:
        if not _has(database, "experiment_tags", "value"):  # Not MLflow's, or of another age: MLflow will say so.
            return
        known = _remembered(database)
        former = _former_roots(database, root) if known is None else set()
    if former:
        raise ModelError(
            expected=f"the files of the runs in {path.name} below {root}",
            found=f"them recorded below {', '.join(map(str, sorted(former)))}: this run state was moved or copied",
            remedy="Run `lstm-text relocate`, which rewrites the locations.",
        )
    if known is None:
        with suppress(sqlite3.OperationalError), transaction(path, write=True) as database:  # Perhaps it is read-only.
            remember_root(database, root)
    elif not _same_place(known, root):
        done = relocate(path, root)
        if done.moved_from:  # Else another process was first.
            logging.getLogger(__name__).warning(
                "This run state was moved or copied from %s to %s; %d locations were rewritten.",
                ", ".join(done.moved_from), root, done.locations,
            )  # fmt: skip


def relocate(path: Path, root: Path) -> Relocation:
    """Rewrite, in one transaction, every location below a folder that this state was in before."""
    with transaction(path, write=True) as database:
        known = _remembered(database)
        former = _former_roots(database, root) | ({known} if known and not _same_place(known, root) else set())
        rewritten = _rewrite(database, former, root) if former else []
        remember_root(database, root)
    left = sum(old.exists() and not new.exists() for old, new in rewritten)
    return Relocation(sorted(map(str, former)), len(rewritten), left)


def remember_root(database: sqlite3.Connection, root: Path) -> None:
    """Keep the folder in the database."""
    database.execute("INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, 0)",
                     (TAG, root.as_uri()))  # fmt: skip


def _remembered(database: sqlite3.Connection) -> Path | None:
    found = database.execute("SELECT value FROM experiment_tags WHERE key = ? AND experiment_id = 0", (TAG,)).fetchone()
    return _local(found[0]) if found else None


def _former_roots(database: sqlite3.Connection, root: Path) -> set[Path]:
    """Return the other folders that runs and models have as theirs although their files are below root."""
    found = set()
    for table, key, column, folder in [
        ("runs", "run_uuid", "artifact_uri", "artifacts"),
        ("logged_models", "model_id", "artifact_location", "artifacts/models"),
    ]:
        if not _has(database, table, column):
            continue
        for name, location in database.execute(f"SELECT {key}, {column} FROM {table}"):
            path, tail = _local(location), Path(folder, name, "artifacts")
            if path and path.parts[-len(tail.parts) :] == tail.parts and (root / tail).exists():
                found.add(path.parents[len(tail.parts) - 1])
    return {old for old in found if not _same_place(old, root)}


def _rewrite(database: sqlite3.Connection, former: set[Path], root: Path) -> list[tuple[Path, Path]]:
    """Rewrite the locations below former roots; return the paths before and after."""
    rewritten = []
    for table, column in LOCATIONS:
        if not _has(database, table, column):
            continue
        for row, value in database.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
            location = _location_in(value)
            old = _local(location)
            new = _moved(old, former, root) if old else None
            if location and old and new:
                # As it was written: as a URI or as a path, by itself or in a JSON object.
                text = new.as_uri() if location.startswith("file:") else str(new)
                value = text if location == value else json.dumps({**json.loads(value), "uri": text})
                database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
                rewritten.append((old, new))
    return rewritten


def _location_in(value: str | None) -> str | None:
    """Return the location that a column holds; that of a dataset is in a JSON object."""
    if not value or not value.startswith("{"):
        return value
    with suppress(ValueError):
        location = json.loads(value).get("uri")
        return location if isinstance(location, str) else None
    return None


def _moved(path: Path, former: set[Path], root: Path) -> Path | None:
    """Return where a path is now; None where it stays: one folder may lie in the other, so the deepest one counts."""
    holding = [folder for folder in {*former, root} if path.is_relative_to(folder)]
    deepest = max(holding, key=lambda folder: len(folder.parts), default=root)
    return root / path.relative_to(deepest) if deepest != root else None


def _local(location: str | None) -> Path | None:
    """Return a location in this machine's file system as a path; None for any other."""
    if location and location.startswith("file:"):
        return Path(unquote(urlsplit(location).path, errors="surrogateescape"))
    return Path(location) if location and Path(location).is_absolute() else None


def _same_place(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one folder, which may be mounted at both."""
    return one == other or (one.exists() and one.samefile(other))


def _has(database: sqlite3.Connection, table: str, column: str) -> bool:
    return bool(database.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, column)).fetchone())
