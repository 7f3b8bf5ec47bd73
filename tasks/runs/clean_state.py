"""Remove what is old and unused: stages, leftovers of crashes, downloads, reports, runs and versions.

A version with an alias (champion, previous, candidate or any other) stays, and so does its run. What a process is
using stays too.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from filelock import FileLock, Timeout
from mlflow.entities.model_registry import ModelVersion

from lstm_model.errors import ModelError
from tasks.runtime.retries import mlflow_client, with_retries
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import stages_root, state_root

GC_TIMEOUT_SECONDS = 600


@dataclass
class Cleaned:
    """How many of one kind were removed, and their bytes (0 for files that are not on this machine)."""

    what: str
    count: int
    bytes: int
    names: list[str]

    @classmethod
    def of(cls, what: str, sizes: dict[str, int]) -> "Cleaned":
        return cls(what, len(sizes), sum(sizes.values()), list(sizes))


def clean_state(*, older_than: timedelta, experiment_name: str, dry_run: bool) -> list[Cleaned]:
    """Remove what was last used longer than `older_than` ago and return it; dry_run removes nothing."""
    before = time.time() - older_than.total_seconds()
    folders = {
        "stages": _old(stages_root().glob("[!.]*/*"), before),  # `stage_store.find` touches a stage that is used.
        "stages left by crashes": _leftovers(before),
        "downloaded versions": _old(state_root().glob("downloads/*/*/*"), before),
        "reports on refused data": _old(state_root().glob("refused/*"), before),
    }
    cleaned = []
    for what, old in folders.items():
        sizes = {}
        for folder in old:
            sizes[folder.relative_to(state_root()).as_posix()] = size_of(folder)
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
        cleaned.append(Cleaned.of(what, sizes))
    return [*cleaned, *_clean_registry(before, experiment_name, dry_run=dry_run)]


def _leftovers(before: float) -> Iterator[Path]:
    """Yield half-built stages and checkpoints that no process uses; a run may still continue younger ones."""
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
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # Another process removed it.
            total += path.stat().st_size if path.is_file() else 0
    return total


def size_text(size: int) -> str:
    """Return bytes in a unit that reads well."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _clean_registry(before: float, experiment_name: str, *, dry_run: bool) -> list[Cleaned]:
    experiment = mlflow.get_experiment_by_name(experiment_name)
    if experiment is None:
        return [Cleaned.of("runs", {}), Cleaned.of("model versions", {})]
    every_run = with_retries(
        mlflow.search_runs, [experiment.experiment_id], order_by=["attributes.start_time ASC"], output_format="list"
    )
    registered = with_retries(mlflow.search_model_versions)
    models = with_retries(mlflow.search_registered_models)
    aliased = {(model.name, str(version)) for model in models for version in model.aliases.values()}
    kept = {version.run_id for version in registered if (version.name, str(version.version)) in aliased}
    old = {
        run.info.run_id: _bytes_at(run.info.artifact_uri)
        for run in every_run
        if (run.info.end_time or run.info.start_time) / 1e3 < before and run.info.run_id not in kept
    }
    old_versions = [version for version in registered if version.run_id in old]
    model_ids = []
    for version in old_versions:
        if "m-" in version.source:  # It has a logged model, whose bytes count as those of the run.
            model_ids.append(version.source.removeprefix("models:/"))
            old[version.run_id] += _bytes_at(mlflow_client().get_logged_model(model_ids[-1]).artifact_location)
    if not dry_run:
        _remove(old_versions, model_ids, list(old))
    versions = {f"{version.name} {version.version}": 0 for version in old_versions}
    return [Cleaned.of("runs", old), Cleaned.of("model versions", versions)]


def _bytes_at(artifacts: str) -> int:
    """Return the bytes of the folder that holds a folder of artifacts; 0 if that is not on this machine."""
    address = urlparse(artifacts)
    return size_of(Path(unquote(address.path)).parent) if address.scheme in ("", "file") else 0


def _remove(versions: list[ModelVersion], model_ids: list[str], run_ids: list[str]) -> None:
    """Delete versions, then runs; if the tracking address is a database, also their files (`mlflow gc`)."""
    for version in versions:
        mlflow_client().delete_model_version(version.name, str(version.version))
    for model_id in model_ids:
        mlflow_client().delete_logged_model(model_id)
    for run_id in run_ids:
        mlflow_client().delete_run(run_id)
    uri = mlflow.get_tracking_uri()
    if uri.startswith("http") or not run_ids:
        return
    command = [str(Path(sys.executable).with_name("mlflow")), "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    command += ["--run-ids", ",".join(run_ids), *(["--logged-model-ids", ",".join(model_ids)] if model_ids else [])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GC_TIMEOUT_SECONDS, check=False)
    if ended.returncode:  # The message does not show the command: the database's password is in it.
        reason = without_password((ended.stderr.strip().splitlines() or ["no reason"])[-1])[:300]
        raise ModelError(
            f"MLflow did not remove the files of the deleted runs (mlflow gc): {reason}.",
            "The runs and versions are deleted; start lstm-text clean again to remove their files.",
        )
