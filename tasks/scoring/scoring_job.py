"""A scoring on its way: what it does and what is done, in a hidden folder beside the output.

`.OUTPUT.parts/job.json` is written before the first chunk, with the version that the model's address meant then; each
finished chunk is a file. The same command after a crash goes on from there. One process at a time has the output.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from prefect import get_run_logger
from pydantic import BaseModel, ConfigDict, ValidationError

from lstm_model.config.data import Quoting
from lstm_model.data.reading import CHUNK_ROWS
from lstm_model.digests import digest_file, digest_text
from lstm_model.errors import ModelError, UsageError
from tasks.registry.registered_model import resolve_model
from tasks.runtime.state.local_state import state_root

OUTPUT_FORMATS = (".parquet", ".csv")


class ScoringRequest(BaseModel):
    """What is asked for: two requests that are equal have the same answer for the same input and model."""

    model_config = ConfigDict(frozen=True)

    path: Path
    output: Path
    model_uri: str
    text_column: str
    id_column: str | None
    quoting: Quoting = "auto"
    threshold: float
    abstain_label: str


class ScoringJob(BaseModel):
    """A request with what it was resolved to."""

    model_config = ConfigDict(frozen=True)

    request: ScoringRequest
    input_sha256: str
    model_name: str
    version: str
    run_id: str
    chunk_rows: int

    @property
    def folder(self) -> Path:
        return parts_folder(self.request.output)

    @property
    def made_by(self) -> dict[str, str]:
        """The columns that say which model answered."""
        return {"model_name": self.model_name, "model_version": self.version, "run_id": self.run_id}

    def finished_rows(self, number: int) -> int | None:
        """Return the rows of a finished chunk, or None where it is not finished."""
        try:
            with pa.memory_map(str(self._part(number))) as file:
                return sum(batch.num_rows for batch in pa.ipc.open_file(file).read_all().to_batches())
        except (OSError, pa.ArrowInvalid):
            return None

    def finish(self, number: int, table: pa.Table) -> None:
        """Keep a chunk's answers; the file is complete or not there."""
        part = self._part(number)
        writing = part.with_suffix(".writing")
        with pa.OSFile(str(writing), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        writing.replace(part)

    def tables(self, chunks: int) -> Iterator[pa.Table]:
        """Yield the answers of all chunks in order."""
        for number in range(chunks):
            with pa.memory_map(str(self._part(number))) as file:
                yield pa.ipc.open_file(file).read_all()

    def publish(self, tables: Iterator[pa.Table], schema: pa.Schema) -> None:
        """Write the output from tables and let it appear at once; then forget the job."""
        writing = self.folder / "output"
        options = pyarrow.csv.WriteOptions(quoting_style="needed")
        with (
            pq.ParquetWriter(writing, schema)
            if self.request.output.suffix == ".parquet"
            else pyarrow.csv.CSVWriter(str(writing), schema, write_options=options)
        ) as writer:
            for table in tables:
                writer.write_table(table)
        writing.replace(self.request.output)
        self.discard()

    def discard(self) -> None:
        """Forget what is done."""
        (self.folder / "job.json").unlink(missing_ok=True)  # First: chunks without a job are never gone on with.
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:08d}.arrow"


def parts_folder(output: Path) -> Path:
    """Return where the finished chunks of an output are kept: on its disk, so that it can appear by a rename."""
    return output.with_name(f".{output.name}.parts")


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise UsageError unless the output can be written, before any work is done."""
    if output.suffix not in OUTPUT_FORMATS:
        raise UsageError(
            expected=f"an output that ends in {' or '.join(OUTPUT_FORMATS)}", found=output.name, remedy="Rename it."
        )
    check_writable(output, overwrite=overwrite)


def check_writable(output: Path, *, overwrite: bool) -> None:
    """Raise UsageError where a file exists that may not be replaced, or none can be made."""
    if output.exists() and not overwrite:
        raise UsageError(
            expected=f"no file at {output}", found="one", remedy="Add --overwrite, or name another output."
        )
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        found = "no permission" if output.parent.is_dir() else "no such folder"
        raise UsageError(expected=f"a folder that can be written at {output.parent}", found=found, remedy="Make it.")
    try:
        probe = output.with_name(f".{output.name}.{os.getpid()}.probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            expected=f"a folder that can be written at {output.parent}",
            found=error.strerror or str(error),
            remedy="Name another output.",
        ) from None


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Hold the output; raises UsageError while another process scores into it. A killed process lets go."""
    locks = state_root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(locks / f"score-{digest_text(str(output.resolve()))[:16]}.lock", timeout=0):
            yield
    except Timeout:
        raise UsageError(
            expected=f"one scoring at a time into {output}",
            found="another process that writes it",
            remedy="Wait for it, or name another output.",
        ) from None


def open_job(request: ScoringRequest, *, resume: bool) -> ScoringJob:
    """Return the job of the request: the unfinished one, if it is of the same request and input, or a new one."""
    folder, sha256 = parts_folder(request.output), digest_file(request.path)
    found = _unfinished(folder)
    if found is not None and resume and (found.request, found.input_sha256) == (request, sha256) and _exists(found):
        get_run_logger().info(
            "going on with an unfinished scoring by %s version %s, resolved when it began (--no-resume starts anew)",
            found.model_name,
            found.version,
        )
        return found
    if folder.exists():
        get_run_logger().info("an unfinished scoring of another input, request or model is dropped: %s", folder)
        shutil.rmtree(folder)
    name, version, run_id = resolve_model(request.model_uri)
    job = ScoringJob(
        request=request, input_sha256=sha256, model_name=name, version=version, run_id=run_id, chunk_rows=CHUNK_ROWS
    )
    folder.mkdir()
    writing = folder / "job.writing"
    writing.write_text(job.model_dump_json(indent=1), encoding="utf-8")
    writing.replace(folder / "job.json")
    return job


def _unfinished(folder: Path) -> ScoringJob | None:
    try:
        return ScoringJob.model_validate_json((folder / "job.json").read_text("utf-8"))
    except (OSError, ValidationError):
        return None


def _exists(job: ScoringJob) -> bool:
    try:
        resolve_model(f"models:/{job.model_name}/{job.version}")
    except ModelError:
        return False
    return True


def count_labels(tables: Iterator[pa.Table], counts: dict[str | None, int]) -> Iterator[pa.Table]:
    """Pass tables on, adding up the rows of each label, and under None those without one."""
    for table in tables:
        for entry in table["label"].value_counts().to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        yield table
