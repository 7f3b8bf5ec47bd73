"""The state of a scoring, in the hidden folder `.OUTPUT.parts` next to the output.

`job.json` is written before the first chunk, with the version that the model's address meant then. Each finished chunk
is a file. After a crash, the same command continues from there. One process at a time writes an output.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from filelock import AcquireReturnProxy
from prefect import get_run_logger
from pydantic import BaseModel, ValidationError

from lstm_model.data.parts import digest_input, refuse_output_in_input
from lstm_model.data.reading import CHUNK_ROWS
from lstm_model.digests import digest_text
from lstm_model.errors import ModelError, UsageError
from tasks.registry.registered_model import input_columns, resolve_model
from tasks.runs.trained_columns import TextRequest, columns_to_read
from tasks.runtime.locks import take_local_lock
from tasks.runtime.stage_store import retried_task

OUTPUT_FORMATS = (".parquet", ".csv")


class ScoringRequest(TextRequest):
    """What to score: equal requests give the same answers for the same input and model."""

    output: Path
    threshold: float
    abstain_label: str


class ScoringJob(BaseModel, frozen=True):
    """A request with its input's digest and its resolved version. columns: for `read_chunks`."""

    request: ScoringRequest
    input_sha256: str
    model_name: str
    version: str
    run_id: str
    columns: dict[str, str]
    chunk_rows: int

    @property
    def folder(self) -> Path:
        return parts_folder(self.request.output)

    def finished_rows(self, number: int) -> int | None:
        """Return the rows of a finished chunk, or None for an unfinished one."""
        try:
            return self.table(number).num_rows
        except (OSError, pa.ArrowInvalid):
            return None

    def finish(self, number: int, table: pa.Table) -> None:
        """Save a chunk's answers. The file appears complete or not at all."""
        part = self._part(number)
        writing = part.with_suffix(".writing")
        with pa.OSFile(str(writing), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        writing.replace(part)

    def table(self, number: int) -> pa.Table:
        """Return the answers of a finished chunk."""
        with pa.memory_map(str(self._part(number))) as file:
            return pa.ipc.open_file(file).read_all()

    def publish(self, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
        """Write tables to the output, which appears by one rename, then delete the job."""
        writing = self.folder / "output"
        csv = partial(pyarrow.csv.CSVWriter, write_options=pyarrow.csv.WriteOptions(quoting_style="needed"))
        open_writer = pq.ParquetWriter if self.request.output.suffix == ".parquet" else csv
        with open_writer(str(writing), schema) as writer:
            for table in tables:
                writer.write_table(table)
        writing.replace(self.request.output)
        self.discard()

    def discard(self) -> None:
        """Delete the job and its chunks."""
        (self.folder / "job.json").unlink(missing_ok=True)  # First: chunks without a job are never reused.
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:08d}.arrow"


def parts_folder(output: Path) -> Path:
    """Return the folder of an output's finished chunks, on the same disk: the output appears by a rename."""
    return output.with_name(f".{output.name}.parts")


def check_output(path: Path, output: Path, *, overwrite: bool) -> None:
    """Raise UsageError for an output that cannot be written or is part of the input, before any work starts."""
    refuse_output_in_input(path, output)
    if output.suffix not in OUTPUT_FORMATS:
        raise UsageError(f"The output {output.name} does not end in {' or '.join(OUTPUT_FORMATS)}.", "Rename it.")
    check_writable(output, overwrite=overwrite)


def check_writable(output: Path, *, overwrite: bool) -> None:
    """Raise UsageError where a file exists and may not be replaced, or where the folder is not writable."""
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists.", "Add --overwrite, or choose another output.")
    try:
        probe = output.with_name(f".{output.name}.{os.getpid()}.probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"The folder {output.parent} is not writable: {error.strerror or error}.",
            "Create the folder, fix its permissions, or choose another output.",
        ) from None


def sole_writer(output: Path) -> AcquireReturnProxy:
    """Lock the output. Raises UsageError while another process scores into it; a killed process releases the lock."""
    name, refusal = digest_text(str(output.resolve()))[:16], f"Another process is scoring into {output}."
    return take_local_lock(f"score-{name}", refusal, "Wait until it ends, or choose another output.")


@retried_task(name="resolve-classifier")
def open_job(request: ScoringRequest, *, resume: bool) -> ScoringJob:
    """Return the unfinished job of the same request and input, or a new job with the version that the address means."""
    folder, sha256 = parts_folder(request.output), digest_input(request.path)
    if resume and (unfinished := _unfinished_job(folder, request, sha256)):
        which = f"{unfinished.model_name} version {unfinished.version}, resolved when it started"
        get_run_logger().info("continuing an unfinished scoring by %s (--no-resume starts again)", which)
        return unfinished
    name, version, run_id = resolve_model(request.model_uri)
    columns = columns_to_read(request, of_model=input_columns(name, version), run_id=run_id)
    if folder.exists():
        get_run_logger().info("deleting an unfinished scoring of another input, request or model: %s", folder)
        shutil.rmtree(folder)
    job = ScoringJob(
        request=request, input_sha256=sha256, model_name=name, version=version, run_id=run_id, columns=columns,
        chunk_rows=CHUNK_ROWS,
    )  # fmt: skip
    folder.mkdir()
    writing = folder / "job.writing"
    writing.write_text(job.model_dump_json(indent=1), encoding="utf-8")
    writing.replace(folder / "job.json")
    return job


def _unfinished_job(folder: Path, request: ScoringRequest, sha256: str) -> ScoringJob | None:
    """Return the job in the folder if it is of this request and input, and its version still exists."""
    with suppress(OSError, ValidationError, ModelError):
        job = ScoringJob.model_validate_json((folder / "job.json").read_text("utf-8"))
        if (job.request, job.input_sha256) == (request, sha256):
            resolve_model(f"models:/{job.model_name}/{job.version}")
            return job
    return None
