"""The registered version, fetched from the registry as a server would, must answer what the evaluation answered."""

import mlflow
import numpy as np
import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from lstm_model.answers import probability_columns
from tasks.publishing import markdown_table, publish_markdown
from tasks.register_classifier import RegisteredVersion, example_input
from tasks.split_examples import read_split
from tasks.stages import StageRecord
from tasks.tracking import timed

COMPARED_ROWS = 100
TOLERANCE = 1e-5


@timed
@task(name="check-servable", cache_policy=NO_CACHE)
def check_servable(
    version: RegisteredVersion, evaluation: StageRecord, examples: StageRecord, splits: StageRecord
) -> str | None:
    """Load the version from the registry and ask it; return why it cannot be served, or None."""
    reason = _reason(version, evaluation, examples, splits)
    verdict = [["version", version.version], ["servable", "no: " + reason if reason else "yes"]]
    publish_markdown("servable", markdown_table(["", "found"], verdict), "Does the registered version answer?")
    if reason:
        get_run_logger().error("version %s cannot be served: %s", version.version, reason)
    return reason


def _reason(
    version: RegisteredVersion, evaluation: StageRecord, examples: StageRecord, splits: StageRecord
) -> str | None:
    expected = pd.read_parquet(evaluation.file("predictions.parquet")).head(COMPARED_ROWS)
    texts = read_split(examples, splits, "test")[["text"]].head(COMPARED_ROWS)
    try:
        model = mlflow.pyfunc.load_model(version.uri)
        answers, odd = model.predict(texts), model.predict(example_input())
    except Exception as error:  # noqa: BLE001  whatever a broken model raises is the reason
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    columns = [name for name in expected.columns if name.startswith("probability_")]
    if columns != probability_columns(model.metadata.metadata["labels"]):
        return "it answers other labels than the evaluation"
    difference = float(np.abs(answers[columns].to_numpy() - expected[columns].to_numpy()).max())
    if list(answers["label"]) != list(expected["predicted"]) or not difference <= TOLERANCE:
        return f"its answers differ from the evaluation's by up to {difference:g}"
    if not np.isfinite(odd[columns].to_numpy()).all():
        return "it answers odd texts with probabilities that are no numbers"
    return None
