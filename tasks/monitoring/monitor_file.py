"""Compare a file of texts, or of answers, with its model's reference, without writing answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State
from pydantic import BaseModel

from lstm_model.classifier.classifier import Classifier
from lstm_model.classifier.scores import SCORED
from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from lstm_model.data.formats.lines import Reading
from lstm_model.data.parts import digest_input, find_parts
from lstm_model.data.reading import estimate_rows, read_chunks, read_columns, unchanged_file
from lstm_model.drift.feedback import Feedback
from lstm_model.drift.profile import ProfileBuilder, Reference
from lstm_model.errors import ContentError, ModelError, UsageError
from tasks.monitoring.comparisons import NO_REFERENCE, AnsweredBatch, DriftOutcome, compare_batch, compare_feedback
from tasks.monitoring.drift_history import Series
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.registry.registered_model import download_version, resolve_model
from tasks.runs.trained_columns import TextRequest, columns_to_read
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import retried_task

SCORED_COLUMNS = {"id", "label", "status", "model_name", "model_version"}
Answers = Iterator[tuple[list[str], list[str]]]
"""Ids and predicted labels, chunk by chunk."""


class MonitorRequest(TextRequest):
    """What to compare, and with which version's reference."""

    feedback: Path | None
    feedback_dialect: Dialect
    repeat: bool


class MonitorOutcome(BaseModel):
    """The JSON object that `lstm-text drift --json` prints."""

    message: str
    drift: DriftOutcome | None = None
    accuracy: DriftOutcome | None = None


@dataclass(frozen=True)
class News:
    """The monitored version, and what was not compared with it before. scored: the file has answers, no texts."""

    model: RegisteredClassifier
    classifier: Classifier
    reference: Reference
    series: Series
    digest: str
    feedback: Feedback | None
    scored: bool
    batch_is_new: bool


def monitor_file(request: MonitorRequest, config: DriftConfig) -> MonitorOutcome:
    """Compare what is new about a file, texts and feedback; where nothing is, the message says so."""
    if not find_parts(request.path):
        return MonitorOutcome(message=f"nothing to compare: no file at {request.path}")
    news = find_news(request, config)
    if not news.batch_is_new and news.feedback is None:
        return MonitorOutcome(message=f"nothing new: {request.path} was compared with {news.series.name} before")
    batch = answer_file(request, news)
    return MonitorOutcome(
        message=f"compared {request.path} with {news.series.name}",
        drift=compare_batch(batch, config) if news.batch_is_new else None,
        accuracy=compare_feedback(news.feedback, batch, news.reference, config) if news.feedback else None,
    )


def completed(outcome: MonitorOutcome) -> State[MonitorOutcome]:
    """Return the flow run's final state, with the outcome as its message."""
    lines = [outcome.message, *(part.line for part in (outcome.drift, outcome.accuracy) if part)]
    return Completed(message="; ".join(lines)[:2_000], data=outcome)


@retried_task(name="find-news")
def find_news(request: MonitorRequest, config: DriftConfig) -> News:
    """Find the version to monitor, and what of the file and the feedback was not compared with it before.

    Raises ModelError where the version has no reference, ContentError and UsageError for files that cannot be used.
    """
    named = request.text_columns or [request.text_column]
    columns = set(read_columns(request.path, dialect=request.dialect, names=named))
    scored = columns.isdisjoint(named) and columns >= SCORED_COLUMNS
    if scored and request.feedback is None:
        raise UsageError(
            f"{request.path} has answers and no texts: it needs --feedback FILE.",
            "Pass the file with the ids and true labels, or name a file of texts to compare.",
        )
    name, version, _ = resolve_model(_scored_by(request) if scored else request.model_uri)
    model = download_version(name, version)
    reference = Reference.load(model.folder)
    if reference is None:
        raise ModelError(f"{name} version {version} {NO_REFERENCE}.", "Train again to get one.")
    series = Series.open(config.experiment_name, name, version)
    digest = digest_input(request.path)
    feedback = Feedback.read(request.feedback, request.feedback_dialect) if request.feedback else None
    known = feedback and series.entries("feedback", input_digest=digest, feedback_digest=feedback.digest)
    return News(
        model=model,
        classifier=Classifier.load(model.folder),
        reference=reference,
        series=series,
        digest=digest,
        feedback=None if known and not request.repeat else feedback,
        scored=scored,
        batch_is_new=not scored and (request.repeat or not series.entries("batch", input_digest=digest)),
    )


@task(name="answer-file", cache_policy=NO_CACHE)
def answer_file(request: MonitorRequest, news: News) -> AnsweredBatch:
    """Answer every text, or read the answers, and count; memory does not grow with the file."""
    classifier, feedback, path = news.classifier, news.feedback, request.path
    builder = ProfileBuilder(classifier.labels, classifier.encoder)
    progress = Progress("watch-progress", f"comparing {path.name}", total=estimate_rows(path), unit="rows")
    done = 0
    with unchanged_file(path, news.digest) as reading:
        answers = (
            _read_answers(request, news, reading) if news.scored else _answer_texts(request, news, builder, reading)
        )
        for ids, predicted in answers:
            done += len(ids)
            progress.set(done)
            if feedback is not None:
                feedback.see(ids, predicted)
    if reading.account:
        get_run_logger().info("%s: %s", path.name, reading.account)
    progress.close(f"answered {done:,} rows with {news.series.name}")
    if feedback is not None:
        feedback.check(classifier.labels, path)
    return AnsweredBatch(path, news.digest, news.model, classifier, builder.profile())


def _answer_texts(request: MonitorRequest, news: News, builder: ProfileBuilder, reading: Reading) -> Answers:
    """Answer the rows with a text; the builder profiles them."""
    classifier, first_row = news.classifier, 0
    columns = columns_to_read(request, of_model=classifier.inputs, run_id=news.model.run_id)
    for chunk in read_chunks(request.path, columns, dialect=request.dialect, reading=reading):
        builder.see_texts(chunk["text"].tolist(), first_row=first_row)
        known = chunk["problem"].isna()
        probabilities = classifier.predict_probabilities(chunk.loc[known, "text"].tolist())
        builder.see_answers(probabilities)
        ids = chunk.get("id", (chunk.index + first_row + 1).astype(str))
        yield ids[known].tolist(), [classifier.labels[i] for i in probabilities.argmax(axis=1)]
        first_row += len(chunk)


def _read_answers(request: MonitorRequest, news: News, reading: Reading) -> Answers:
    """Read the rows that `lstm-text score` gave a label; one below the threshold is no answer."""
    columns = {"id": "id", "label": "label", "status": "status"}
    for chunk in read_chunks(request.path, columns, dialect=request.dialect, reading=reading):
        scored = chunk[(chunk["status"] == SCORED) & chunk["label"].isin(news.classifier.labels)]
        yield scored["id"].tolist(), scored["label"].tolist()


def _scored_by(request: MonitorRequest) -> str:
    """Return the address of the version that wrote the answers. Raises ContentError where there are several."""
    uris: set[str] = set()
    columns = {"name": "model_name", "version": "model_version"}
    for chunk in read_chunks(request.path, columns, dialect=request.dialect):
        uris |= {f"models:/{name}/{version}" for name, version in zip(chunk["name"], chunk["version"], strict=True)}
    if len(uris) != 1:
        problem = f"{request.path} has answers of {len(uris)} versions, not of one."
        raise ContentError(problem, "Pass the file as lstm-text score wrote it.")
    return uris.pop()
