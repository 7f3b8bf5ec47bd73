"""A file of texts -> a file of answers by one registered version: in chunks, in order, all or nothing."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from lstm_model.classifier.answers import AnswerOptions, probability_columns
from lstm_model.classifier.classifier import Classifier
from lstm_model.classifier.scores import score_rows, scores_schema
from lstm_model.data.reading import estimate_rows, read_chunks, text_columns, unchanged_file
from lstm_model.drift.profile import ProfileBuilder
from lstm_model.errors import LstmTextError, ModelError, UsageError
from tasks.monitoring.batch_drift import AnsweredBatch
from tasks.monitoring.drift_outcome import DriftOutcome
from tasks.registry.registered_model import download_version
from tasks.runtime.artifacts import Progress, markdown_table, publish_markdown
from tasks.runtime.stage_store import retried_task
from tasks.scoring.scoring_job import ScoringJob, ScoringRequest, count_labels, open_job

Engine = Literal["local", "dask"]


class ScoringOutcome(BaseModel):
    """The one JSON object that `lstm-text score --json` prints."""

    output: str
    model_name: str
    version: str
    run_id: str
    rows: int
    unscored: int
    labels: dict[str, int]
    drift: DriftOutcome | None = None


@dataclass(frozen=True)
class ScoredFile:
    """What came of a scoring; batch: what was scored, to be compared with the reference, if that was asked for."""

    outcome: ScoringOutcome
    batch: AnsweredBatch | None

    def with_drift(self, drift: DriftOutcome | None) -> ScoringOutcome:
        return self.outcome.model_copy(update={"drift": drift})


class Answer(Protocol):
    """A chunk's answers, once they are there."""

    def result(self) -> pa.Table: ...


Submit = Callable[[int, pd.DataFrame], Answer]


@retried_task(name="resolve-classifier")
def open_scoring(request: ScoringRequest, *, resume: bool) -> ScoringJob:
    """Say which version answers: the one that the address means now, or that of an unfinished scoring."""
    text_columns(request.path, request.text_column, request.id_column, quoting=request.quoting)
    return open_job(request, resume=resume)


@task(name="score-file", cache_policy=NO_CACHE)
def score_file(
    job: ScoringJob, *, engine: Engine = "local", scheduler: str | None = None, watched: bool = True
) -> ScoredFile:
    """Answer every row of the file, ids and order kept; the output appears when it is complete.

    watched: profile the rows on the way.
    """
    request = job.request
    progress = Progress(
        "scoring-progress", f"scoring {request.path.name}", unit="rows", total=estimate_rows(request.path)
    )
    workers = _dask(job, scheduler) if engine == "dask" else _local(job)
    try:
        folder, classifier = _loaded(job)
        builder = ProfileBuilder(classifier.labels, classifier.encoder) if watched else None
        with workers as (submit, window):
            chunks = _score_chunks(job, submit, window, progress, builder)
    except LstmTextError:
        job.discard()  # The input or the model must change first: nothing here can be gone on with.
        raise
    names = classifier.labels
    counts: dict[str | None, int] = dict.fromkeys(names, 0)
    job.publish(_watch_answers(count_labels(job.tables(chunks), counts), builder), scores_schema(names))
    unscored = counts.pop(None, 0)
    labels = {label: count for label, count in counts.items() if label is not None}
    rows = sum(labels.values()) + unscored
    progress.close(f"scored {rows - unscored:,} of {rows:,} rows with {job.model_name} version {job.version}")
    publish_markdown("scores", markdown_table(["label", "rows"], list(labels.items())), "Rows of each answer")
    outcome = ScoringOutcome(
        output=str(request.output), model_name=job.model_name, version=job.version, run_id=job.run_id,
        rows=rows, unscored=unscored, labels=labels,
    )  # fmt: skip
    batch = builder and AnsweredBatch(
        path=request.path, digest=job.input_sha256, model_name=job.model_name, version=job.version,
        classifier=classifier, folder=folder, profile=builder.profile(),
    )  # fmt: skip
    return ScoredFile(outcome, batch)


def _watch_answers(tables: Iterator[pa.Table], builder: ProfileBuilder | None) -> Iterator[pa.Table]:
    """Pass tables on; the builder sees the answers of rows with a text, those below the threshold included."""
    for table in tables:
        if builder is not None:
            scored = table.filter(table["score"].is_valid())
            columns = [scored[name].to_numpy() for name in probability_columns(builder.labels)]
            builder.see_answers(np.stack(columns, axis=1))
        yield table


def _score_chunks(
    job: ScoringJob, submit: Submit, window: int, progress: Progress, builder: ProfileBuilder | None
) -> int:
    """Have every chunk answered that is not finished yet; return how many chunks there are."""
    waiting: deque[tuple[int, int, Answer]] = deque()
    rows = number = 0

    def finish_first() -> None:
        nonlocal rows
        place, count, answer = waiting.popleft()
        job.finish(place, answer.result())
        rows += count
        progress.set(rows)

    asked = job.request
    columns = text_columns(asked.path, asked.text_column, asked.id_column, quoting=asked.quoting)
    with unchanged_file(asked.path, job.input_sha256) as reading:
        chunks = read_chunks(asked.path, columns, quoting=asked.quoting, chunk_rows=job.chunk_rows, reading=reading)
        for number, chunk in enumerate(chunks, 1):
            if builder is not None:
                builder.see_texts(chunk["text"].tolist(), first_row=(number - 1) * job.chunk_rows)
            if job.finished_rows(number - 1) == len(chunk):
                rows += len(chunk)
                progress.skip(rows)
                continue
            waiting.append((number - 1, len(chunk), submit(number - 1, chunk)))
            if len(waiting) > window:
                finish_first()
    while waiting:
        finish_first()
    if reading.account:
        get_run_logger().info("%s: %s", asked.path.name, reading.account)
    return number


def _answer(job: ScoringJob, number: int, chunk: pd.DataFrame) -> pa.Table:
    return score_rows(
        chunk,
        _loaded(job)[1],
        first_row=number * job.chunk_rows + 1,
        made_by=job.made_by,
        options=AnswerOptions(threshold=job.request.threshold, abstain_label=job.request.abstain_label),
    )


def _loaded(job: ScoringJob) -> tuple[Path, Classifier]:
    return _load(mlflow.get_tracking_uri(), job.model_name, job.version, job.run_id)


@lru_cache(maxsize=1)
def _load(tracking_uri: str, name: str, version: str, run_id: str) -> tuple[Path, Classifier]:
    """Load a version once in each process; the registry and the run tell versions of one number apart."""
    folder = download_version(name, version).folder
    return folder, Classifier.load(folder)


class _Done:
    """An answer that is there."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def result(self) -> pa.Table:
        return self.table


@contextmanager
def _local(job: ScoringJob) -> Iterator[tuple[Submit, int]]:
    """Answer one chunk after the other; the classifier runs its batches on all cores.

    Two chunks at a time were no faster: their Python parts wait for each other (docs/results.md).
    """
    yield lambda number, chunk: _Done(_answer(job, number, chunk)), 0


@task(name="score-chunk", cache_policy=NO_CACHE, persist_result=False, retries=2)
def score_chunk(job: ScoringJob, number: int, chunk: pd.DataFrame, tracking_uri: str) -> pa.Table:
    """Answer one chunk on a Dask worker, which fetches the version from the registry once."""
    mlflow.set_tracking_uri(tracking_uri)
    return _answer(job, number, chunk)


@contextmanager
def _dask(job: ScoringJob, scheduler: str | None) -> Iterator[tuple[Submit, int]]:
    """Answer chunks on the workers of a running Dask cluster."""
    runner = _dask_runner(scheduler)
    with ExitStack() as stack:
        try:
            client = stack.enter_context(runner).client  # Connects, which entering alone does not.
        except OSError as error:
            raise ModelError(
                expected=f"a Dask scheduler that answers at {scheduler}",
                found=str(error).splitlines()[0] if str(error) else type(error).__name__,
                remedy="Check the address, and that `dask scheduler` runs there.",
            ) from None
        workers = len(client.nthreads())

        def submit(number: int, chunk: pd.DataFrame) -> Any:
            uri = mlflow.get_tracking_uri()
            return runner.submit(score_chunk, {"job": job, "number": number, "chunk": chunk, "tracking_uri": uri})

        yield submit, 2 * max(1, workers)


def _dask_runner(scheduler: str | None) -> Any:
    if not scheduler:
        raise UsageError(
            expected="--scheduler ADDRESS with --engine dask",
            found="none",
            remedy="Start a cluster (dask scheduler; dask worker ADDRESS) and name it, such as tcp://127.0.0.1:8786.",
        )
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError:
        raise UsageError(
            expected="prefect-dask", found="no such package", remedy="pip install 'lstm-text[dask]'."
        ) from None
    return DaskTaskRunner(address=scheduler, client_kwargs={"timeout": "15s"})
