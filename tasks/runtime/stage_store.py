"""The stage store: each stage's output in a folder named after everything it depends on.

`mlruns/stages/<stage>/<digest>/` appears by one rename or not at all. The digest covers the digests of the inputs, the
settings that the stage reads, the source of what it executes (source_digest.py) and requirements.lock. A stage whose
folder is there and undamaged ends in Prefect's state `Cached`; deleting a folder deletes its entry.
"""

import inspect
import json
import os
import shutil
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

from filelock import FileLock
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_logger
from prefect.states import Completed, State
from pydantic import BaseModel

from lstm_model.config.section import Section
from lstm_model.data.parts import digest_input
from lstm_model.digests import digest_file, digest_json
from tasks.runtime.interrupts import stop_if_signalled
from tasks.runtime.prefect_server import lost_server
from tasks.runtime.retries import may_pass, text_of
from tasks.runtime.source_digest import stage_code_digest
from tasks.runtime.state.local_state import stages_root
from tasks.runtime.tracking import Run, call_timed

MANIFEST = "manifest.json"
SEAL = "sha256"  # In the manifest: of the rest of it.
RETRY_SECONDS = [2, 10, 30]  # A full disk needs minutes to get free space, not milliseconds.
Write = Callable[..., dict[str, Any]]


class StageRecord(BaseModel, frozen=True):
    """What travels between stages: where the output is, the digest of each file, and a few facts about it."""

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
    name: str,
    *,
    report: Callable[[StageRecord, Run], str],
    reads: Callable[..., Any] = lambda **inputs: None,
) -> Callable[[Write], Callable[..., StageRecord]]:
    """Make `write(folder, *inputs)` a stage: called as `write(*inputs, run=run)`, it returns a StageRecord.

    write: fills the folder and returns the record's facts; it may take `run`, which is no part of the digest.
    report(record, run): logs to MLflow and publishes Prefect artifacts, also when the stage is cached; it returns what
    the terminal and Prefect's log say of the record.
    reads(**inputs): what the stage depends on outside its inputs (`run` included), as a JSON value.
    """

    def decorate(write: Write) -> Callable[..., StageRecord]:
        signature = inspect.signature(write)
        source = Path(inspect.getfile(write))

        def digest_of(inputs: dict[str, Any]) -> str:
            outside = reads(**inputs)  # First: its error names a missing file.
            run = inputs.get("run")
            parts = [_digest_input(key, value, run) for key, value in sorted(inputs.items()) if key != "run"]
            return digest_json([name, parts, outside, stage_code_digest(source)])

        def run_stage(**inputs: Any) -> StageRecord | State[StageRecord]:
            digest, since = digest_of(inputs), inputs["run"].stages_since
            if "run" not in signature.parameters:
                del inputs["run"]
            filled: list[Path] = []

            def fill(folder: Path) -> dict[str, Any]:
                filled.append(folder)
                return write(folder, **inputs)

            record = build(name, digest, fill, since=since)
            return record if filled else Completed(name="Cached", data=record)

        staged = retried_task(run_stage, name=write.__name__.replace("_", "-"), description=inspect.getdoc(write))

        @wraps(write)
        def call(*args: Any, run: Run, **kwargs: Any) -> StageRecord:
            stop_if_signalled()
            if lost := lost_server():
                raise lost
            names = [key for key in signature.parameters if key not in ("folder", "run")]
            inputs = {**dict(zip(names, args, strict=False)), **kwargs, "run": run}

            def headline(state: State[StageRecord]) -> str:
                return ("cached: " if state.name == "Cached" else "") + report(state.result(), run)

            return call_timed(run, write.__name__, partial(staged, **inputs, return_state=True), headline).result()

        call.digest_of = digest_of  # type: ignore[attr-defined]  # For callers of `build`.
        return call

    return decorate


def build(name: str, digest: str, write: Callable[[Path], dict[str, Any]], *, since: float = 0.0) -> StageRecord:
    """Return the stage's record, writing its folder unless `find` finds it. One process at a time builds it.

    since: a folder made before this time (seconds since 1970) is written again.
    """
    final = stages_root() / name / digest
    building = stages_root() / ".building" / f"{name}-{digest}"
    building.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{building}.lock"):
        if found := find(name, digest, since=since):
            return found
        shutil.rmtree(building, ignore_errors=True)  # Left by a run that was killed.
        building.mkdir()
        facts = write(building)
        written = sorted(path for path in building.rglob("*") if path.is_file())
        files = {path.relative_to(building).as_posix(): digest_file(path) for path in written}
        record = StageRecord(stage=name, digest=digest, files=files, facts=facts)
        content = json.loads(record.model_dump_json())
        write_json(building / MANIFEST, {**content, SEAL: digest_json(content)})
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(final, ignore_errors=True)  # The same output, made before `since`.
        building.rename(final)
    return record


def find(name: str, digest: str, *, since: float = 0.0) -> StageRecord | None:
    """Return the record of a folder made since then if each file is as it was written; remove a damaged folder.

    Call it under the lock of `build`: another process may replace the folder.
    """
    folder = stages_root() / name / digest
    if not folder.exists():
        return None
    try:
        content = read_json(folder / MANIFEST)
        sealed = content.pop(SEAL, None) == digest_json(content)
        record = StageRecord.model_validate(content)
        fresh = (folder / MANIFEST).stat().st_mtime >= since
        intact = sealed and (record.stage, record.digest) == (name, digest)
        sound = intact and all(digest_file(folder / file) == sha256 for file, sha256 in record.files.items())
    except (OSError, ValueError, TypeError, AttributeError):  # The last two: JSON, but no object.
        sound = False
    if not sound:
        get_run_logger().warning("Stage folder %s is damaged; it is removed and the stage runs again.", folder)
        shutil.rmtree(folder)
        return None
    os.utime(folder)  # `lstm-text clean` goes by the last use.
    return record if fresh else None


def _digest_input(key: str, value: Any, run: Run | None) -> list[Any]:
    if not isinstance(value, Section):
        return [key, getattr(value, "digest", value)]
    # A path is where a file is; what counts is its contents.
    paths = {name: path for name, path in value if isinstance(path, Path)}
    contents = {name: run.sha256_of(path) if run else digest_input(path) for name, path in paths.items()}
    return [key, {**value.model_dump(mode="json", exclude=set(paths)), **contents}]


def worth_a_retry(failed: Any, task_run: Any, state: Any) -> bool:
    """Return whether a retry may help: a full disk or a server that does not answer, not a bug or bad data."""
    error = state.result(raise_on_failure=False)
    if not may_pass(error) or getattr(error, "was_retried", False) or lost_server():
        return False
    wait = RETRY_SECONDS[min(task_run.run_count, len(RETRY_SECONDS)) - 1]
    get_logger("lstm_text").warning("%s failed, retrying in %d s: %s", failed.name, wait, text_of(error)[:200])
    return True


retried_task = partial(
    task,
    cache_policy=NO_CACHE,
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=worth_a_retry,
)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file for a person and a program to read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
