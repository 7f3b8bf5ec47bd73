"""Trainings as a user starts them: the command in a process of its own, with run state of its own."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient

from tasks.runtime.state.relocation import relocate
from tests.databases import give_databases, own_variables, session_folder
from tests.forked import run_forked
from tests.samples import write_tiny_file

HERE = Path(__file__).parent
FLAGS = ["--training.epochs", "3", "--training.batch-size", "16", "--model.embedding-dim", "8",
         "--model.lstm-units", "4", "--evaluation.bootstrap-rounds", "100", "--promotion.min-macro-f1", "0",
         "--promotion.min-class-f1", "0", "--no-promotion.beat-guessing", "--json"]  # fmt: skip


def environment(state: Path) -> dict[str, str]:
    """Return the variables of a process with its own run state, which gets its databases."""
    if not (state / "mlflow.db").exists():
        give_databases(state)
    return {**own_variables(), "LSTM_TEXT_STATE": str(state)}


@cache
def trained() -> tuple[Path, Path]:
    """Return a labelled file and the state folder of its training, done once for all workers. Nobody changes them."""
    folder = session_folder("trained")
    data, state, done = folder / "tiny.csv", folder / "state", folder / "done"
    with FileLock(folder / "lock"):
        if not done.exists():
            state.mkdir()
            done.write_text(json.dumps(answer(run(write_tiny_file(data, rows=72), state))))
    return data, state


def copy_of_trained(state: Path) -> dict[str, Any]:
    """Copy that state to a new folder; return what the training answered."""
    shutil.copytree(trained()[1], state)
    relocate(state / "mlflow.db", state)
    return dict(json.loads(trained()[1].with_name("done").read_text()))


def command(data: Path, place: str = "none", number: int = 0) -> list[str]:
    return [sys.executable, str(HERE / "killed.py"), place, str(number), "train", "--data.path", str(data), *FLAGS]


def run(data: Path, state: Path, place: str = "none", number: int = 0, *flags: str) -> subprocess.CompletedProcess[str]:
    return run_command(state, *command(data, place, number)[2:], *flags)


def run_command(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run killed.py with arguments, in a process that has imported everything."""
    # It has imported Prefect already, which reads its variables then.
    variables = {**environment(state), "PREFECT_HOME": str(state / "prefect")}
    return run_forked("tests.flows.killed:main", list(arguments), variables, state)


def answer(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr[-3_000:]
    return dict(json.loads(result.stdout.strip().splitlines()[-1]))


def client(state: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{state / 'mlflow.db'}")


def runs(state: Path) -> list[Any]:
    found = client(state).get_experiment_by_name("lstm-text")
    return list(client(state).search_runs([found.experiment_id])) if found else []


def wait_for_a_run(state: Path) -> None:
    """Wait until a run is in the database; MLflow's client would make the tables while the training does."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{state}/mlflow.db?mode=ro", uri=True)) as database,
        ):
            if database.execute("SELECT count(*) FROM runs").fetchone()[0]:
                return
        time.sleep(0.2)
    raise AssertionError("the training does not begin")


def figures(state: Path, run_id: str) -> dict[str, float]:
    timed = ("seconds.", "servability.", "baseline_seconds")
    return {
        name: value for name, value in client(state).get_run(run_id).data.metrics.items() if not name.startswith(timed)
    }


def check_one_of_everything(client: MlflowClient, run_id: str) -> None:
    """Check that there is one run, which has finished, one model, one version and one decision."""
    (only,) = client.search_runs([client.get_experiment_by_name("lstm-text").experiment_id])
    assert only.info.run_id == run_id and only.info.status == "FINISHED"
    (version,) = client.search_model_versions("name = 'text-classifier'")
    assert len([key for key in version.tags if key.startswith("decision.")]) == 1
    assert len(client.search_logged_models([only.info.experiment_id])) == 1
