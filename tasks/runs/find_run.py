"""A run as a person names it (id, beginning of an id, or name) -> the run in MLflow."""

import re
from datetime import UTC, datetime

from mlflow.entities import Run

from lstm_model.errors import ModelError
from tasks.runtime.retries import mlflow_client

ID_PREFIX = re.compile(r"[0-9a-f]{4,32}")
LISTED_RUNS = 8


def find_run(reference: str) -> Run:
    """Return the run. Raises ModelError where there is none, or more than one; the error lists runs."""
    found = _with_id(reference) or _with_name(reference)
    if len(found) == 1:
        return found[0]
    raise ModelError(
        expected="one run with this id, beginning of an id (4 characters or more) or name",
        found=f"{len(found) or 'none'} for {reference!r}",
        remedy=f"These are: {_listed(found)}." if found else known_runs(),
    )


def _with_id(reference: str) -> list[Run]:
    return _search(f"attributes.run_id LIKE '{reference}%'") if ID_PREFIX.fullmatch(reference) else []


def _with_name(reference: str) -> list[Run]:
    quote = "'" if '"' in reference else '"'
    return _search(f"attributes.run_name = {quote}{reference}{quote}") if quote not in reference else []


def known_runs() -> str:
    """Return a sentence that lists the latest runs with an evaluation, for an error's remedy."""
    evaluated = [run for run in _search("", 200) if "test_macro_f1" in run.data.metrics]
    return (
        f"The latest evaluated runs are: {_listed(evaluated)}."
        if evaluated
        else "Train a model first: lstm-text train."
    )


def _listed(runs: list[Run]) -> str:
    named = [f"{run.info.run_id[:8]} ({run.info.run_name}, {moment(run.info.start_time)})" for run in runs]
    return ", ".join(named[:LISTED_RUNS])


def _search(condition: str, limit: int = LISTED_RUNS) -> list[Run]:
    client = mlflow_client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, condition, max_results=limit, order_by=["attributes.start_time DESC"])
    return list(found)


def moment(milliseconds: int) -> str:
    """Return a time that MLflow counts in milliseconds, for a person, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
