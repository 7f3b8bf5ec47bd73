"""The registered version, started from the registry as a team would, must answer what the evaluation answered."""

import http.client
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from lstm_model.classifier.answers import probability_columns
from tasks.promotion.register_classifier import RegisteredVersion, example_input
from tasks.registry.version_files import DamagedVersion, read_version
from tasks.runtime import tracking
from tasks.runtime.ports import free_port
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.tracking import Run
from tasks.serving.model_server import ModelServer, checked_server

COMPARED_ROWS = 100
TIMED_REQUESTS = 50
TOLERANCE = 1e-5
START_SECONDS = 180.0  # 4 s on an idle machine; a loaded one, or a model that comes from far away, may take its time.
ANSWER_SECONDS = 60.0


class Servability(BaseModel):
    """Why a version cannot be served, or None; how many texts it answered as it must, and how fast."""

    model_config = ConfigDict(frozen=True)

    reason: str | None = None
    asked: int = 0
    cold_start_seconds: float | None = None
    p95_milliseconds: float | None = None


class _Unservable(Exception):  # noqa: N818  a finding, not a failure of this program
    """What is wrong with a version, in one line."""


@tracking.timed
@task(name="check-servable", cache_policy=NO_CACHE)
def check_servable(version: RegisteredVersion, evaluation: StageRecord, run: Run) -> Servability:
    """Serve the version on a loopback port and ask it test rows and odd texts; log the figures, return the finding."""
    expected = pd.read_parquet(evaluation.file("predictions.parquet")).head(COMPARED_ROWS)
    found = find_servability(version.name, version.version, expected)
    figures = {name: getattr(found, name) for name in ("cold_start_seconds", "p95_milliseconds")}
    known = {f"servability.{name}": value for name, value in figures.items() if value is not None}
    tracking.log_metrics(run, known)
    if found.reason:
        get_run_logger().error("version %s cannot be served: %s", version.version, found.reason)
    return found


def find_servability(name: str, version: str, expected: pd.DataFrame | None) -> Servability:
    """Start the version as `mlflow models serve` on a free loopback port, ask it, and stop it whatever happens.

    expected: rows of predictions.parquet (text, predicted, probability_<label> ...) that it must answer alike, or None.

    An error of the registry is raised; whatever is wrong with the version itself is the reason.
    """
    mlflow_client().get_model_version(name, version)
    try:
        with tempfile.TemporaryDirectory(prefix="lstm-text-check-") as scratch:
            model, example = read_version(name, version, Path(scratch))
        with checked_server(name, version, port=free_port()) as server:
            reason = server.wait_until_up(seconds=START_SECONDS)
            if reason is not None:
                raise _Unservable(reason)
            return _ask(server, model.metadata["labels"], example, expected)
    except (DamagedVersion, _Unservable) as found:
        return Servability(reason=str(found))


def _ask(server: ModelServer, labels: list[str], example: bytes, expected: pd.DataFrame | None) -> Servability:
    """Ask the model's input example, odd texts and the expected rows, compare, and time requests of one row."""
    connection = server.connect(timeout=ANSWER_SECONDS)
    try:
        answered = _answers(connection, example, "its input example", labels)
        cold_start = time.monotonic() - server.started
        odd = example_input()["text"].tolist()
        answered += _answers(connection, _body(odd), "odd texts", labels, rows=len(odd))
        texts = expected["text"].tolist() if expected is not None else []
        if texts:
            compared = _answers(connection, _body(texts), "test rows", labels, rows=len(texts))
            _compare(compared, expected, labels)
            answered += compared
        milliseconds = []
        for number in range(TIMED_REQUESTS):
            text = (texts or odd)[number % len(texts or odd)]
            started = time.perf_counter()
            _answers(connection, _body([text]), "a text", labels, rows=1)
            milliseconds.append(1_000 * (time.perf_counter() - started))
    except (OSError, http.client.HTTPException) as error:
        ended = server.process.poll() is not None
        raise _Unservable(server.ending() if ended else f"its server stopped answering: {_one_line(error)}") from None
    finally:
        connection.close()
    return Servability(
        asked=len(answered), cold_start_seconds=cold_start, p95_milliseconds=float(np.percentile(milliseconds, 95))
    )


def _body(texts: list[str]) -> bytes:
    return json.dumps({"dataframe_records": [{"text": text} for text in texts]}).encode()


def _answers(
    connection: http.client.HTTPConnection, body: bytes, what: str, labels: list[str], *, rows: int | None = None
) -> list[dict[str, Any]]:
    """Return the answers to a request, one of the labels with a probability for each; rows: how many there must be."""
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read().decode("utf-8", "replace")
    if response.status != 200:
        raise _Unservable(f"it answers {what} with HTTP {response.status}: {' '.join(content.split())[:200]}")
    answers: list[dict[str, Any]] = json.loads(content)["predictions"]
    if not answers or len(answers) != (rows or len(answers)):
        raise _Unservable(f"it gives {len(answers)} answers to {rows or 'some'} rows of {what}")
    columns = ["label", "score", *probability_columns(labels)]
    for answer in answers:
        if list(answer) != columns or answer["label"] not in labels:
            raise _Unservable(f"it answers {what} with {', '.join(answer)} instead of {', '.join(columns)}"[:300])
        if not all(isinstance(answer[name], float) and math.isfinite(answer[name]) for name in columns[1:]):
            raise _Unservable(f"it answers {what} with probabilities that are no numbers")
    return answers


def _compare(answers: list[dict[str, Any]], expected: pd.DataFrame, labels: list[str]) -> None:
    columns = probability_columns(labels)
    if columns != [name for name in expected if name.startswith("probability_")]:
        raise _Unservable("it answers other labels than the evaluation")
    found = pd.DataFrame(answers)
    otherwise = int((found["label"].to_numpy() != expected["predicted"].to_numpy()).sum())
    difference = float(np.abs(found[columns].to_numpy() - expected[columns].to_numpy()).max())
    if otherwise or not difference <= TOLERANCE:
        raise _Unservable(
            f"it labels {otherwise} of {len(expected)} test rows otherwise than the evaluation, and its probabilities "
            f"differ by up to {difference:.2g}"
        )


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
