"""The registered version, fetched from the registry as a server would, must answer what the evaluation answered."""

import mlflow
import numpy as np
import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from lstm_model.answers import probability_columns
from tasks.publishing import markdown_table, publish_markdown
from tasks.register_classifier import RegisteredVersion, example_input
from tasks.stages import StageRecord
from tasks.tracking import timed

COMPARED_ROWS = 100
TOLERANCE = 1e-5


class Servability(BaseModel):
    """Why a version cannot be served, or None."""

    model_config = ConfigDict(frozen=True)

    reason: str | None
    asked: int
    cold_start_seconds: float | None = None
    p95_milliseconds: float | None = None


@timed
@task(name="check-servable", cache_policy=NO_CACHE)
def check_servable(version: RegisteredVersion, evaluation: StageRecord) -> Servability:
    """Load the version from the registry and ask it; return why it cannot be served, or None."""
    expected = pd.read_parquet(evaluation.file("predictions.parquet"))
    servable = find_servability(version.name, version.version, expected)
    found = "no: " + servable.reason if servable.reason else "yes"
    rows = [["version", version.version], ["servable", found]]
    publish_markdown("servable", markdown_table(["", "found"], rows), "Does the registered version answer?")
    if servable.reason:
        get_run_logger().error("version %s cannot be served: %s", version.version, servable.reason)
    return servable


def find_servability(name: str, version: str, expected: pd.DataFrame | None) -> Servability:
    """Return whether the version answers odd texts, and the texts of `expected` as it says."""
    some = None if expected is None else expected.head(COMPARED_ROWS)
    return Servability(reason=_reason(f"models:/{name}/{version}", some), asked=0 if some is None else len(some))


def _reason(uri: str, expected: pd.DataFrame | None) -> str | None:
    try:
        model = mlflow.pyfunc.load_model(uri)
        odd = model.predict(example_input())
        answers = None if expected is None else model.predict(expected[["text"]])
    except Exception as error:  # noqa: BLE001  whatever a broken model raises is the reason
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    columns = probability_columns(model.metadata.metadata["labels"])
    if not np.isfinite(odd[columns].to_numpy()).all():
        return "it answers odd texts with probabilities that are no numbers"
    if expected is None or answers is None:
        return None
    if columns != [column for column in expected if column.startswith("probability_")]:
        return "it answers other labels than the evaluation"
    difference = float(np.abs(answers[columns].to_numpy() - expected[columns].to_numpy()).max())
    if list(answers["label"]) != list(expected["predicted"]) or not difference <= TOLERANCE:
        return f"its answers differ from the evaluation's by up to {difference:g}"
    return None
