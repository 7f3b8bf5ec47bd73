"""A run as you name it (its id, the start of its id, or its name) -> the run in MLflow."""

import re
from datetime import UTC, datetime

from mlflow.entities import Run

from lstm_model.errors import ModelError
from tasks.runtime.retries import mlflow_client

ID_PREFIX = re.compile(r"[0-9a-f]{4,32}")
LISTED_RUNS = 8


def find_run(reference: str) -> Run:
    """Return the run. Raises ModelError if there is none or more than one; the error lists runs."""
    runs = _search(f"attributes.run_id LIKE '{reference}%'") if ID_PREFIX.fullmatch(reference) else []
    quote = "'" if '"' in reference else '"'
    if not runs and quote not in reference:
        runs = _search(f"attributes.run_name = {quote}{reference}{quote}")
    if len(runs) == 1:
        return runs[0]
    raise ModelError(
        f"{len(runs) or 'No'} runs have the id, start of an id (4 characters or more) or name {reference!r}.",
        f"These are: {_listed(runs)}." if runs else known_runs(),
    )


def known_runs() -> str:
    """Return a sentence that lists the latest runs with an evaluation, for an error's remedy."""
    evaluated = [run for run in _search("", 200) if "test_macro_f1" in run.data.metrics]
    if not evaluated:
        return "Train a model first: lstm-text train."
    return f"The latest evaluated runs are: {_listed(evaluated)}."


def _listed(runs: list[Run]) -> str:
    return ", ".join(
        f"{run.info.run_id[:8]} ({run.info.run_name}, {moment(run.info.start_time)})" for run in runs[:LISTED_RUNS]
    )


def _search(condition: str, limit: int = LISTED_RUNS) -> list[Run]:
    client = mlflow_client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    latest_first = ["attributes.start_time DESC"]
    return list(client.search_runs(experiments, condition, max_results=limit, order_by=latest_first))


def moment(milliseconds: int) -> str:
    """Return a time in milliseconds since 1970, as MLflow has it, as text in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
