"""A file of texts -> a file of answers by one registered version: in chunks, in order, all or nothing."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Literal

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
from lstm_model.data.reading import estimate_rows, read_chunks, unchanged_file
from lstm_model.drift.profile import ProfileBuilder
from lstm_model.errors import LstmTextError, ModelError, UsageError
from tasks.monitoring.comparisons import AnsweredBatch, DriftOutcome
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.registry.registered_model import download_version
from tasks.runtime.artifacts import Progress, markdown_table, publish_markdown
from tasks.scoring.scoring_job import ScoringJob

Engine = Literal["local", "dask"]
Submit = Callable[[int, pd.DataFrame], Callable[[], pa.Table]]
"""Start a chunk, by the number of its first row from 1 and its rows; return a function that waits for its answers."""


class ScoringOutcome(BaseModel):
    """The JSON object that `lstm-text score --json` prints."""

    output: str
    model_name: str
    version: str
    run_id: str
    rows: int
    unscored: int
    labels: dict[str, int]
    drift: DriftOutcome | None = None


@task(name="score-file", cache_policy=NO_CACHE)
def score_file(
    job: ScoringJob, *, engine: Engine = "local", scheduler: str | None = None, profiled: bool = True
) -> tuple[ScoringOutcome, AnsweredBatch | None]:
    """Answer every row of the file in order; the output appears when it is complete.

    profiled: also return the batch with a profile of its rows, to compare it with the training reference.
    """
    path = job.request.path
    progress = Progress("scoring-progress", f"scoring {path.name}", unit="rows", total=estimate_rows(path))
    workers = _dask(job, scheduler) if engine == "dask" else _local(job)
    try:
        model, classifier = _loaded(job)
        builder = ProfileBuilder(classifier.labels, classifier.encoder) if profiled else None
        with workers as (submit, window):
            chunks = _score_chunks(job, submit, window, progress, builder)
    except LstmTextError:
        job.discard()  # The input or the model must change first: no other run can continue this job.
        raise
    counts: Counter[str | None] = Counter(dict.fromkeys(classifier.labels, 0))
    job.publish(_count_answers(map(job.table, range(chunks)), counts, builder), scores_schema(classifier.labels))
    rows, unscored = counts.total(), counts.pop(None, 0)
    progress.close(f"scored {rows - unscored:,} of {rows:,} rows with {job.model_name} version {job.version}")
    publish_markdown("scores", markdown_table(["label", "rows"], list(counts.items())), "Rows per label")
    outcome = ScoringOutcome(
        output=str(job.request.output), model_name=job.model_name, version=job.version, run_id=job.run_id,
        rows=rows, unscored=unscored, labels=dict(counts),
    )  # fmt: skip
    return outcome, builder and AnsweredBatch(path, job.input_sha256, model, classifier, builder.profile())


def _count_answers(
    tables: Iterator[pa.Table], counts: Counter[str | None], builder: ProfileBuilder | None
) -> Iterator[pa.Table]:
    """Yield tables; count the rows of each label, and under None those without one. The builder sees all answers."""
    for table in tables:
        counts.update({entry["values"]: entry["counts"] for entry in table["label"].value_counts().to_pylist()})
        if builder is not None:
            scored = table.filter(table["score"].is_valid())
            columns = [scored[name].to_numpy() for name in probability_columns(builder.labels)]
            builder.see_answers(np.stack(columns, axis=1))
        yield table


def _score_chunks(
    job: ScoringJob, submit: Submit, window: int, progress: Progress, builder: ProfileBuilder | None
) -> int:
    """Score every unfinished chunk, with up to `window` chunks in flight; return the number of chunks."""
    waiting: deque[tuple[int, int, Callable[[], pa.Table]]] = deque()
    rows = number = read = 0

    def finish_first() -> None:
        nonlocal rows
        place, count, answers = waiting.popleft()
        job.finish(place, answers())
        rows += count
        progress.set(rows)

    path, dialect = job.request.path, job.request.dialect
    with unchanged_file(path, job.input_sha256) as reading:
        chunks = read_chunks(path, job.columns, dialect=dialect, chunk_rows=job.chunk_rows, reading=reading)
        for number, chunk in enumerate(chunks, 1):
            first, read = read, read + len(chunk)
            if builder is not None:
                builder.see_texts(chunk["text"].tolist(), first_row=first)
            if job.finished_rows(number - 1) == len(chunk):
                rows += len(chunk)
                progress.skip(rows)
                continue
            waiting.append((number - 1, len(chunk), submit(first + 1, chunk)))
            if len(waiting) > window:
                finish_first()
    while waiting:
        finish_first()
    if reading.account:
        get_run_logger().info("%s: %s", path.name, reading.account)
    return number


def _answer(job: ScoringJob, first_row: int, chunk: pd.DataFrame) -> pa.Table:
    made_by = {"model_name": job.model_name, "model_version": job.version, "run_id": job.run_id}
    options = AnswerOptions(threshold=job.request.threshold, abstain_label=job.request.abstain_label)
    return score_rows(chunk, _loaded(job)[1], first_row=first_row, made_by=made_by, options=options)


def _loaded(job: ScoringJob) -> tuple[RegisteredClassifier, Classifier]:
    return _load(mlflow.get_tracking_uri(), job.model_name, job.version, job.run_id)


@lru_cache(maxsize=1)
def _load(tracking_uri: str, name: str, version: str, run_id: str) -> tuple[RegisteredClassifier, Classifier]:
    """Load a version once per process. Registry and run are part of the key: version numbers repeat."""
    model = download_version(name, version)
    return model, Classifier.load(model.folder)


@contextmanager
def _local(job: ScoringJob) -> Iterator[tuple[Submit, int]]:
    """Answer one chunk at a time; the classifier runs its batches on all cores.

    Two chunks at a time were no faster: their Python parts wait for each other (docs/results.md).
    """
    yield lambda first_row, chunk: partial(_answer, job, first_row, chunk), 0


@task(name="score-chunk", cache_policy=NO_CACHE, persist_result=False, retries=2)
def score_chunk(job: ScoringJob, first_row: int, chunk: pd.DataFrame, tracking_uri: str) -> pa.Table:
    """Answer one chunk on a Dask worker, which downloads the version once."""
    mlflow.set_tracking_uri(tracking_uri)
    return _answer(job, first_row, chunk)


@contextmanager
def _dask(job: ScoringJob, scheduler: str | None) -> Iterator[tuple[Submit, int]]:
    """Answer chunks on the workers of a running Dask cluster."""
    if not scheduler:
        raise UsageError(
            "--engine dask needs --scheduler ADDRESS.",
            "Start a cluster (dask scheduler; dask worker ADDRESS) and name it, such as tcp://127.0.0.1:8786.",
        )
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError:
        raise UsageError(
            "--engine dask needs the package prefect-dask.", "pip install 'lstm-text[dask]' installs it."
        ) from None
    with DaskTaskRunner(address=scheduler, client_kwargs={"timeout": "15s"}) as runner:
        try:
            client = runner.client  # This connects; entering alone does not.
        except OSError as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(
                f"No Dask scheduler answers at {scheduler}: {reason}.",
                "Check the address, and that `dask scheduler` runs there.",
            ) from None

        def submit(first_row: int, chunk: pd.DataFrame) -> Callable[[], pa.Table]:
            sent = {"job": job, "first_row": first_row, "chunk": chunk, "tracking_uri": mlflow.get_tracking_uri()}
            return runner.submit(score_chunk, sent).result

        yield submit, 2 * max(1, len(client.nthreads()))
