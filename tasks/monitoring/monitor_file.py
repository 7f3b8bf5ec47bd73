"""A file of texts, or of answers, compared with what its model was judged on, without writing answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State
from pydantic import BaseModel, ConfigDict

from lstm_model.classifier.classifier import Classifier
from lstm_model.classifier.scores import SCORED
from lstm_model.config.data import Quoting
from lstm_model.config.drift import DriftConfig
from lstm_model.data.reading import Reading, estimate_rows, read_chunks, read_columns, text_columns, unchanged_file
from lstm_model.digests import digest_file
from lstm_model.drift.profile import ProfileBuilder, Reference
from lstm_model.errors import ContentError, ModelError, UsageError
from tasks.monitoring.batch_drift import NO_REFERENCE, AnsweredBatch, compare_batch
from tasks.monitoring.drift_history import Series
from tasks.monitoring.drift_outcome import DriftOutcome
from tasks.monitoring.feedback_accuracy import Feedback, compare_feedback
from tasks.registry.registered_model import download_version, resolve_model
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import retried_task

SCORED_COLUMNS = {"id", "label", "status", "model_name", "model_version"}


class WatchRequest(BaseModel):
    """What is compared, and with which version's reference."""

    model_config = ConfigDict(frozen=True)

    path: Path
    model_uri: str
    text_column: str
    id_column: str | None
    quoting: Quoting = "auto"
    feedback: Path | None
    feedback_quoting: Quoting = "auto"
    repeat: bool


class WatchOutcome(BaseModel):
    """The one JSON object that `lstm-text drift --json` prints."""

    message: str
    drift: DriftOutcome | None = None
    accuracy: DriftOutcome | None = None


@dataclass(frozen=True)
class Watched:
    """The version under watch, and what is not compared with it yet."""

    classifier: Classifier
    folder: Path
    reference: Reference
    series: Series
    digest: str
    feedback: Feedback | None
    batch_is_new: bool


def watch_file(request: WatchRequest, config: DriftConfig) -> WatchOutcome:
    """Compare what is new about a file, texts and feedback; say so where nothing is."""
    if not request.path.exists():
        return WatchOutcome(message=f"nothing to compare: no file at {request.path}")
    watched = find_news(request, config)
    if not watched.batch_is_new and watched.feedback is None:
        return WatchOutcome(message=f"nothing new: {request.path} was compared with {watched.series.name} before")
    batch = answer_file(request, watched)
    outcome = WatchOutcome(message=f"compared {request.path} with {watched.series.name}")
    if watched.batch_is_new:
        outcome.drift = compare_batch(batch, config)
    if watched.feedback is not None:
        outcome.accuracy = compare_feedback(
            watched.feedback, watched.reference, watched.series, config, path=request.path, digest=watched.digest
        )
    return outcome


def completed(outcome: WatchOutcome) -> State[WatchOutcome]:
    """Return the state that the flow run ends in, which tells what was found."""
    told = [outcome.message, *(part.line for part in (outcome.drift, outcome.accuracy) if part)]
    return Completed(message="; ".join(told)[:2_000], data=outcome)


@retried_task(name="find-news")
def find_news(request: WatchRequest, config: DriftConfig) -> Watched:
    """Say which version is watched, and what of the file and the feedback was not compared with it before.

    Raises ModelError where the version has no reference, ContentError and UsageError for files that cannot be used.
    """
    scored = _is_scored(request)
    if scored and request.feedback is None:
        raise UsageError(
            expected=f"--feedback FILE, since {request.path} holds answers and no texts",
            found="none",
            remedy="Give the file with the ids and true labels, or name a file of texts to compare.",
        )
    name, version, _ = resolve_model(_scored_by(request.path) if scored else request.model_uri)
    folder = download_version(name, version).folder
    reference = Reference.load(folder)
    if reference is None:
        raise ModelError(
            expected=f"a training reference with {name} version {version}",
            found="none",
            remedy=f"{NO_REFERENCE[0].upper()}{NO_REFERENCE[1:]}.",
        )
    series = Series.open(config.experiment_name, name, version)
    digest = digest_file(request.path)
    feedback = Feedback.read(request.feedback, quoting=request.feedback_quoting) if request.feedback else None
    told = feedback and series.entries("feedback", input_digest=digest, feedback_digest=feedback.digest)
    return Watched(
        classifier=Classifier.load(folder),
        folder=folder,
        reference=reference,
        series=series,
        digest=digest,
        feedback=None if told and not request.repeat else feedback,
        batch_is_new=not scored and (request.repeat or not series.entries("batch", input_digest=digest)),
    )


@task(name="answer-file", cache_policy=NO_CACHE)
def answer_file(request: WatchRequest, watched: Watched) -> AnsweredBatch:
    """Answer every text, or read the answers, and count; memory does not grow with the file."""
    classifier = watched.classifier
    builder = ProfileBuilder(classifier.labels, classifier.encoder)
    rows = estimate_rows(request.path)
    progress = Progress("watch-progress", f"comparing {request.path.name}", total=rows, unit="rows")
    scored = _is_scored(request)
    done = 0
    with unchanged_file(request.path, watched.digest) as reading:
        chunks = (
            _read_answers(request, classifier.labels, reading)
            if scored
            else _answer_texts(request, classifier, builder, reading)
        )
        for ids, predicted in chunks:
            done += len(ids)
            progress.set(done)
            if watched.feedback is not None:
                watched.feedback.see(ids, predicted)
    if reading.account:
        get_run_logger().info("%s: %s", request.path.name, reading.account)
    progress.close(f"answered {done:,} rows with {watched.series.name}")
    if watched.feedback is not None:
        watched.feedback.check(classifier.labels, request.path)
    return AnsweredBatch(
        path=request.path, digest=watched.digest, model_name=watched.series.model_name, version=watched.series.version,
        classifier=classifier, folder=watched.folder, profile=builder.profile(),
    )  # fmt: skip


def _answer_texts(
    request: WatchRequest, classifier: Classifier, builder: ProfileBuilder, reading: Reading
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield ids and predicted labels of the rows with a text, chunk by chunk, while the builder looks on."""
    columns = text_columns(request.path, request.text_column, request.id_column, quoting=request.quoting)
    first_row = 0
    for chunk in read_chunks(request.path, columns, quoting=request.quoting, reading=reading):
        builder.see_texts(chunk["text"].tolist(), first_row=first_row)
        known = chunk["problem"].isna()
        probabilities = classifier.predict_probabilities(chunk.loc[known, "text"].tolist())
        builder.see_answers(probabilities)
        numbers = pd.Series(range(first_row + 1, first_row + 1 + len(chunk)), index=chunk.index).astype(str)
        ids = chunk.get("id", numbers)
        yield ids[known].tolist(), [classifier.labels[i] for i in probabilities.argmax(axis=1)]
        first_row += len(chunk)


def _read_answers(request: WatchRequest, labels: list[str], reading: Reading) -> Iterator[tuple[list[str], list[str]]]:
    """Yield ids and labels of the rows that `lstm-text score` gave a label: one below the threshold is no answer."""
    columns = {"id": "id", "label": "label", "status": "status"}
    for chunk in read_chunks(request.path, columns, quoting=request.quoting, reading=reading):
        scored = chunk[(chunk["status"] == SCORED) & chunk["label"].isin(labels)]
        yield scored["id"].tolist(), scored["label"].tolist()


def _is_scored(request: WatchRequest) -> bool:
    columns = set(read_columns(request.path, quoting=request.quoting))
    return request.text_column not in columns and columns >= SCORED_COLUMNS


def _scored_by(path: Path) -> str:
    """Return the address of the version that wrote the answers; raises ContentError where there are several."""
    versions: set[tuple[str, str]] = set()
    for chunk in read_chunks(path, {"name": "model_name", "version": "model_version"}):
        versions |= set(zip(chunk["name"], chunk["version"], strict=True))
    if len(versions) != 1:
        raise ContentError(
            expected=f"answers of one version in {path}",
            found=f"{len(versions)} versions",
            remedy="Give the file as lstm-text score wrote it.",
        )
    name, version = versions.pop()
    return f"models:/{name}/{version}"
