"""The stage store: each stage's output in a folder named after everything it depends on.

`mlruns/stages/<stage>/<digest>/` appears by one rename or not at all. The digest covers the digests of the inputs, the
config sections the stage reads, the source of `lstm_model` and of the stage (with what it imports from tasks/), and
requirements.lock. Prefect keeps its
cache entry in the same folder (`record.json`), so deleting the folder deletes the entry.
"""

import inspect
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

from filelock import FileLock
from prefect import Task, get_run_logger
from prefect.context import TaskRunContext
from prefect.settings import get_current_settings
from pydantic import BaseModel, ConfigDict

from lstm_model.config import Section
from lstm_model.digests import digest_file, digest_json, digest_sources
from tasks.local_state import PROJECT, stages_root
from tasks.patience import may_pass
from tasks.signals import stop_if_signalled
from tasks.tracking import Run, log_seconds

MANIFEST = "manifest.json"
SEAL = "sha256"  # In the manifest: of the rest of it.
PLUMBING = {
    "stages", "tracking", "training_run", "provenance", "patience", "publishing", "recording", "local_state",
    "prefect_server", "servers", "ports", "missed_slots", "shared_lock", "signals", "sole_holder",
}  # fmt: skip
RETRY_SECONDS = [2, 10, 30]  # Room on a disk comes back in minutes, not in milliseconds.
Write = Callable[..., dict[str, Any]]
Report = Callable[["StageRecord", Run], None]


class StageRecord(BaseModel):
    """What travels between stages: where the output is, the digest of each file, and a few figures about it."""

    model_config = ConfigDict(frozen=True)

    stage: str
    digest: str
    files: dict[str, str]
    facts: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        return stages_root() / self.stage / self.digest

    def file(self, name: str) -> Path:
        return self.folder / name


def stage(
    name: str, *, report: Report, reads: Callable[..., Any] = lambda **inputs: None
) -> Callable[[Write], Callable[..., StageRecord]]:
    """Make `write(folder, *inputs)` a stage: called as `write(*inputs, run=run)`, it returns a StageRecord.

    write: fills the folder and returns the record's facts; it may take `run`, which is no part of the digest.
    report(record, run): logs to MLflow and publishes Prefect artifacts; runs also when the stage itself is cached.
    reads(**inputs): anything outside the inputs (`run` among them) that the stage depends on, as a JSON value.
    """

    def decorate(write: Write) -> Callable[..., StageRecord]:
        signature = inspect.signature(write)
        source = Path(inspect.getfile(write))

        def digest_of(inputs: dict[str, Any]) -> str:
            known = {key: value for key, value in inputs.items() if key != "run"}
            parts = [_digest_input(key, value) for key, value in sorted(known.items())]
            return digest_json([name, parts, reads(**inputs), _code_digest(source)])

        def run_stage(**inputs: Any) -> StageRecord:
            since = inputs["run"].stages_since
            if "run" not in signature.parameters:
                inputs = {key: value for key, value in inputs.items() if key != "run"}
            return build(name, digest_of(inputs), lambda folder: write(folder, **inputs), since=since)

        def cache_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
            digest = digest_of(parameters["inputs"])
            key = f"{name}/{digest}/record.json"
            if not is_sound(name, digest, since=parameters["inputs"]["run"].stages_since):
                # Prefect may keep its results elsewhere (a worker's default): an entry without a folder is stale.
                (get_current_settings().results.local_storage_path / key).unlink(missing_ok=True)
            return key

        task = Task(
            run_stage,
            name=write.__name__.replace("_", "-"),
            description=inspect.getdoc(write),
            cache_key_fn=cache_key,
            persist_result=True,
            result_serializer="json",
            retries=len(RETRY_SECONDS),
            retry_delay_seconds=RETRY_SECONDS,
            retry_condition_fn=worth_a_retry,
        )

        @wraps(write)
        def call(*args: Any, run: Run, **kwargs: Any) -> StageRecord:
            stop_if_signalled()
            names = [key for key in signature.parameters if key not in ("folder", "run")]
            inputs = {**dict(zip(names, args, strict=False)), **kwargs, "run": run}
            started = time.monotonic()
            # The manifest is sealed; Prefect's own note of the result (record.json) is not, and could be edited.
            record = _read_manifest(stages_root() / name / task(**inputs).digest)
            report(record, run)
            log_seconds(run, stage=write.__name__, seconds=time.monotonic() - started)
            return record

        call.digest_of = digest_of  # type: ignore[attr-defined]  # For who builds the stage another way.
        return call

    return decorate


def build(name: str, digest: str, write: Callable[[Path], dict[str, Any]], *, since: float = 0.0) -> StageRecord:
    """Return the stage's record, writing its folder unless a sound one is there. One process at a time builds it.

    since: a folder made before this time (seconds since 1970) is made anew.
    """
    final = stages_root() / name / digest
    building = stages_root() / ".building" / f"{name}-{digest}"
    building.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{building}.lock"):
        if is_sound(name, digest, since=since):
            return _read_manifest(final)
        shutil.rmtree(building, ignore_errors=True)  # Left by a run that was killed.
        building.mkdir()
        facts = write(building)
        files = {
            path.relative_to(building).as_posix(): digest_file(path)
            for path in sorted(building.rglob("*"))
            if path.is_file()
        }
        record = StageRecord(stage=name, digest=digest, files=files, facts=facts)
        _write_manifest(building, record)
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(final, ignore_errors=True)  # Its equal, made before `since`.
        building.rename(final)
    return record


def is_sound(name: str, digest: str, *, since: float = 0.0) -> bool:
    """Return whether the stage folder is there, made since then, each file as it was written; remove a damaged one."""
    folder = stages_root() / name / digest
    if not folder.exists():
        return False
    try:
        record = _read_manifest(folder)
        sound = (record.stage, record.digest) == (name, digest) and all(
            digest_file(folder / file) == expected for file, expected in record.files.items()
        )
        fresh = (folder / MANIFEST).stat().st_mtime >= since
    except (OSError, ValueError):
        sound = False
    if not sound:
        get_run_logger().warning("Stage folder %s is damaged; it is removed and the stage runs again.", folder)
        shutil.rmtree(folder)
        return False
    os.utime(folder)  # `lstm-text clean` goes by the last use.
    return fresh


def _write_manifest(folder: Path, record: StageRecord) -> None:
    content = json.loads(record.model_dump_json())
    write_json(folder / MANIFEST, {**content, SEAL: digest_json(content)})


def _read_manifest(folder: Path) -> StageRecord:
    """Return the record in a stage folder; raises ValueError where it is not as it was written."""
    content = read_json(folder / MANIFEST)
    if not isinstance(content, dict) or content.pop(SEAL, None) != digest_json(content):
        raise ValueError(f"{folder / MANIFEST} was edited")
    return StageRecord.model_validate(content)


def _digest_input(key: str, value: Any) -> list[Any]:
    if isinstance(value, Section):
        # Paths say where, not what: the contents they lead to are digested by the stage that reads them.
        paths = {field for field in type(value).model_fields if isinstance(getattr(value, field), Path)}
        return [key, value.model_dump(mode="json", exclude=paths)]
    return [key, getattr(value, "digest", value)]


@cache
def _code_digest(source: Path) -> str:
    lock = PROJECT / "requirements.lock"
    sources = [*(PROJECT / "lstm_model").glob("*.py"), *_with_imports(source)]
    return digest_json([digest_sources(sources), digest_file(lock) if lock.exists() else None])


def _with_imports(source: Path) -> set[Path]:
    """Return the stage's file and the files of tasks/ that it imports, the plumbing that all stages share left out."""
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        found.add(path := waiting.pop())
        names = set(re.findall(r"^from tasks\.(\w+) import", path.read_text("utf-8"), re.MULTILINE)) - PLUMBING
        waiting += [file for name in names if (file := source.with_name(f"{name}.py")) not in found]
    return found


def worth_a_retry(task: Any, task_run: Any, state: Any) -> bool:
    """Return whether trying again may help: a full disk or a server that does not answer, not a bug or bad data.

    A request that was made again for as long as `patiently` does will fail for longer.
    """
    error = state.result(raise_on_failure=False)
    return may_pass(error) and not getattr(error, "waited_for", False)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file for a person and a program to read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
