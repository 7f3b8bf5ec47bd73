"""What is old and of no more use, removed: stages, leftovers of crashes, downloads, reports, runs and versions.

A version with an alias stays (champion, previous, candidate and any other), with the run that made it; so does whatever
a process is at work on.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import mlflow
from filelock import FileLock, Timeout
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from lstm_model.errors import ModelError
from tasks.runtime.retries import mlflow_client
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import stages_root, state_root

GC_TIMEOUT_SECONDS = 600


@dataclass
class Cleaned:
    """How many of one kind were removed and how many bytes they held (0 where the store does not tell)."""

    what: str
    count: int = 0
    bytes: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str, size: int) -> None:
        self.count, self.bytes = self.count + 1, self.bytes + size
        self.names.append(name)


def clean_state(*, older_than: timedelta, experiment_name: str, dry_run: bool) -> list[Cleaned]:
    """Remove what was last used before `older_than` ago and return what that was; dry_run removes nothing."""
    before = time.time() - older_than.total_seconds()
    folders = {
        "stages": _stages(before),
        "stages left by crashes": _leftovers(before),
        "downloaded versions": _old(state_root().glob("downloads/*/*/*"), before),
        "reports on refused data": _old(state_root().glob("refused/*"), before),
    }
    cleaned = []
    for what, found in folders.items():
        kind = Cleaned(what)
        for folder in found:
            kind.add(folder.relative_to(state_root()).as_posix(), size_of(folder))
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
        cleaned.append(kind)
    return [*cleaned, *_clean_registry(before, experiment_name, dry_run=dry_run)]


def _stages(before: float) -> Iterator[Path]:
    """Yield stage folders that were not used since then; using one touches it (`stage_store.find`)."""
    yield from _old(stages_root().glob("[!.]*/*"), before)


def _leftovers(before: float) -> Iterator[Path]:
    """Yield half-built stages and checkpoints that no process holds; younger ones are gone on with."""
    for lock in sorted((stages_root() / ".building").glob("*.lock")):
        name = lock.name.removesuffix(".lock")
        with suppress(Timeout), FileLock(lock, timeout=0):
            yield from _old((lock.with_name(f"{name}{end}") for end in ("", ".checkpoint")), before)


def _old(folders: Iterator[Path], before: float) -> Iterator[Path]:
    for folder in sorted(folders):
        with suppress(FileNotFoundError):
            if folder.is_dir() and folder.stat().st_mtime < before:
                yield folder


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # Another process removed it.
            total += path.stat().st_size if path.is_file() else 0
    return total


def size_text(size: int) -> str:
    """Return bytes in a unit that reads well."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _clean_registry(before: float, experiment_name: str, *, dry_run: bool) -> list[Cleaned]:
    runs, versions = Cleaned("runs"), Cleaned("model versions")
    experiment = mlflow.get_experiment_by_name(experiment_name)
    if experiment is None:
        return [runs, versions]
    every = _all(mlflow_client().search_runs, [experiment.experiment_id], order_by=["attributes.start_time ASC"])
    registered = _all(mlflow_client().search_model_versions, "")
    aliases = {
        (model.name, str(version))
        for model in _all(mlflow_client().search_registered_models)
        for version in model.aliases.values()
    }
    kept = {version.run_id for version in registered if (version.name, str(version.version)) in aliases}
    old = {run.info.run_id: run for run in every if _ended(run) < before and run.info.run_id not in kept}
    doomed = [version for version in registered if version.run_id in old]
    for version in doomed:
        versions.add(f"{version.name} {version.version}", 0)
    for run in old.values():
        runs.add(
            run.info.run_id, _artifact_bytes(run) + sum(_model_bytes(v) for v in doomed if v.run_id == run.info.run_id)
        )
    if not dry_run:
        _remove(doomed, list(old))
    return [runs, versions]


def _ended(run: Run) -> float:
    """Return when the run ended, in seconds; a run at work, or one to go on with, counts from its start."""
    return (run.info.end_time or run.info.start_time) / 1e3


def _all(search: Any, *arguments: Any, **options: Any) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = search(*arguments, **options, max_results=1_000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def _artifact_bytes(run: Run) -> int:
    address = urlparse(run.info.artifact_uri)
    return size_of(Path(unquote(address.path)).parent) if address.scheme in ("", "file") else 0


def _model_bytes(version: ModelVersion) -> int:
    source = (
        mlflow_client().get_logged_model(version.source.removeprefix("models:/")) if "m-" in version.source else None
    )
    address = urlparse(source.artifact_location) if source else None
    return size_of(Path(unquote(address.path)).parent) if address and address.scheme in ("", "file") else 0


def _remove(versions: list[ModelVersion], run_ids: list[str]) -> None:
    """Delete versions, then runs; where the tracking address is a database, their files too (`mlflow gc`)."""
    models = [version.source.removeprefix("models:/") for version in versions if "m-" in version.source]
    for version in versions:
        mlflow_client().delete_model_version(version.name, str(version.version))
    for model_id in models:
        mlflow_client().delete_logged_model(model_id)
    for run_id in run_ids:
        mlflow_client().delete_run(run_id)
    uri = mlflow.get_tracking_uri()
    if uri.startswith("http") or not run_ids:
        return
    command = [str(Path(sys.executable).with_name("mlflow")), "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    command += ["--run-ids", ",".join(run_ids), *(["--logged-model-ids", ",".join(models)] if models else [])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GC_TIMEOUT_SECONDS, check=False)
    if ended.returncode:  # The command itself is not shown: the database's password is in it.
        raise ModelError(
            expected="MLflow to remove the files of the deleted runs (mlflow gc)",
            found=without_password((ended.stderr.strip().splitlines() or ["no reason"])[-1])[:300],
            remedy="The runs and versions are deleted; start lstm-text clean again to remove their files.",
        )
