"""The registered version, started from the registry as a team would, must answer what the evaluation answered."""

import http.client
import json
import math
import time
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import Model
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from lstm_model.classifier.answers import probability_columns
from lstm_model.data.text_columns import split_text
from lstm_model.evaluation.gate_rules import Rule
from tasks.registry.registered_classifier import RegisteredVersion
from tasks.registry.registered_model import Unservable, read_version
from tasks.runtime.ports import LOOPBACK, free_port
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.tracking import Run, log_metrics, timed
from tasks.serving.model_server import ModelServer, start_server, waiting_server

COMPARED_ROWS = 100
TIMED_REQUESTS = 50
TOLERANCE = 1e-5
START_SECONDS = 180.0  # 2 s on an idle machine; a loaded one or a remote artifact store needs longer.
ANSWER_SECONDS = 60.0
ODD_TEXTS = ["", "   ", "qzxv wkjq", "😀🎉", "word " * 10_000, "[PAD] [UNK]"]


class Servability(BaseModel, frozen=True):
    """Why a version cannot be served, or None; how many texts it answered correctly, and how fast."""

    reason: str | None = None
    asked: int = 0
    cold_start_seconds: float | None = None
    p95_milliseconds: float | None = None

    @property
    def rule(self) -> Rule:
        """The result of the check as a rule of the gate."""
        verdict = "failed" if self.reason else "passed"
        return Rule(name="servability", verdict=verdict, text=self.reason or "served from the registry, it answers")


def _headline(found: Servability) -> str:
    if found.reason:
        return f"cannot be served: {found.reason}"
    return f"answers {found.asked} texts over HTTP; 95% of single requests within {found.p95_milliseconds:.1f} ms"


@timed(_headline)
@task(name="check-servable", cache_policy=NO_CACHE)
def check_servable(version: RegisteredVersion, evaluation: StageRecord, run: Run) -> Servability:
    """Serve the version on a loopback port, send it test rows and odd texts, log its speed and return the result."""
    expected = pd.read_parquet(evaluation.file("predictions.parquet"))
    found = find_servability(version.name, version.version, expected)
    speed = found.model_dump(include={"cold_start_seconds", "p95_milliseconds"}, exclude_none=True)
    log_metrics(run, {f"servability.{name}": value for name, value in speed.items()})
    return found


def find_servability(name: str, version: str, expected: pd.DataFrame | None) -> Servability:
    """Start the version as `lstm-text serve` does on a free loopback port, query it, and always stop it.

    expected: predictions.parquet (text, predicted, probability_<label> ...), or None; the version must answer its first
    COMPARED_ROWS rows alike. An error of the registry is raised; anything wrong with the version is the reason.
    """
    mlflow_client().get_model_version(name, version)
    try:
        with waiting_server(quiet=True) as waiting:  # It imports MLflow meanwhile.
            folder, model, example = read_version(name, version, waiting.folder)
            server = start_server(waiting, folder, host=LOOPBACK, port=free_port())
            if reason := server.wait_until_up(seconds=START_SECONDS):
                raise Unservable(reason)
            return _ask(server, model, example, expected)
    except Unservable as found:
        return Servability(reason=str(found))


def _ask(server: ModelServer, model: Model, example: bytes, expected: pd.DataFrame | None) -> Servability:
    """Send the model's input example, odd texts and the expected rows, compare, and time requests of one row."""
    connection = server.connect(timeout=ANSWER_SECONDS)
    labels, inputs = model.metadata["labels"], model.signature.inputs.input_names()

    def answers(texts: list[str], what: str) -> list[dict[str, Any]]:
        records = {"dataframe_records": [split_text(text, inputs) for text in texts]}
        found = _answers(connection, json.dumps(records).encode(), what, labels)
        if len(found) != len(texts):
            raise Unservable(f"it gives {len(found)} answers to {len(texts)} rows of {what}")
        return found

    try:
        count = len(_answers(connection, example, "its input example", labels))
        cold_start = time.monotonic() - server.started
        count += len(answers(ODD_TEXTS, "odd texts"))
        texts = ODD_TEXTS
        if expected is not None and len(expected):
            expected = expected.head(COMPARED_ROWS)
            texts = expected["text"].tolist()
            _compare(answers(texts, "test rows"), expected, labels)
            count += len(texts)
        milliseconds = []
        for number in range(TIMED_REQUESTS):
            started = time.perf_counter()
            answers([texts[number % len(texts)]], "a text")
            milliseconds.append(1_000 * (time.perf_counter() - started))
    except (OSError, http.client.HTTPException) as error:
        ended = server.process.poll() is not None
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise Unservable(server.ending() if ended else f"its server stopped answering: {problem}") from None
    finally:
        connection.close()
    p95 = float(np.percentile(milliseconds, 95))
    return Servability(asked=count, cold_start_seconds=cold_start, p95_milliseconds=p95)


def _answers(connection: http.client.HTTPConnection, body: bytes, what: str, labels: list[str]) -> list[dict[str, Any]]:
    """Return the answers to a request body; every answer must have a probability per label."""
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read().decode("utf-8", "replace")
    if response.status != 200:
        raise Unservable(f"it answers {what} with HTTP {response.status}: {' '.join(content.split())[:200]}")
    answers: list[dict[str, Any]] = json.loads(content)["predictions"]
    if not answers:
        raise Unservable(f"it gives no answers to {what}")
    columns = ["label", "score", *probability_columns(labels)]
    for answer in answers:
        if list(answer) != columns or answer["label"] not in labels:
            raise Unservable(f"it answers {what} with {', '.join(answer)} instead of {', '.join(columns)}"[:300])
        if not all(isinstance(answer[name], float) and math.isfinite(answer[name]) for name in columns[1:]):
            raise Unservable(f"it answers {what} with probabilities that are not finite numbers")
    return answers


def _compare(answers: list[dict[str, Any]], expected: pd.DataFrame, labels: list[str]) -> None:
    columns = probability_columns(labels)
    if columns != [name for name in expected if name.startswith("probability_")]:
        raise Unservable("its labels are not those of the evaluation")
    found = pd.DataFrame(answers)
    different = int((found["label"].to_numpy() != expected["predicted"].to_numpy()).sum())
    largest = float(np.abs(found[columns].to_numpy() - expected[columns].to_numpy()).max())
    if different or not largest <= TOLERANCE:
        raise Unservable(
            f"its labels of {different} of {len(expected)} test rows differ from the evaluation, and its probabilities "
            f"by up to {largest:.2g}"
        )
