"""The lock on decisions where a team shares a registry: PostgreSQL itself, or MLflow's server with Prefect's."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.team.conftest import Team
from tests.team.servers import PROJECT, Postgres, plain_environment

COUNT = """
import sys, time
from pathlib import Path
from tasks.promotion.decision_lock import decision_lock
file, times = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(times):
    with decision_lock("counted"):
        seen = int(file.read_text())
        time.sleep(0.05)
        file.write_text(str(seen + 1))
"""
HOLD = """
import sys
from tasks.promotion.decision_lock import decision_lock
with decision_lock("held"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> dict[str, str]:
    """The environment of someone whose registry is the database itself."""
    # An advisory lock needs no tables.
    return plain_environment(tmp_path, MLFLOW_TRACKING_URI=postgres.uri("postgres"), LSTM_TEXT_STATE=str(tmp_path))


def count_to(file: Path, times: int, environment: dict[str, str]) -> str:
    """Have two processes add to the number in a file, each reading it, waiting and writing it; return the number."""
    file.write_text("0")
    command = [sys.executable, "-c", COUNT, str(file), str(times)]
    with file.with_suffix(".log").open("wb") as log:
        processes = [subprocess.Popen(command, env=environment, cwd=PROJECT, stderr=log) for _ in range(2)]
        assert [process.wait(timeout=200) for process in processes] == [0, 0]
    assert "ERROR" not in file.with_suffix(".log").read_text()  # Waiting is no error.
    return file.read_text()


def test_no_addition_is_lost_on_a_database(database: dict[str, str], tmp_path: Path) -> None:
    assert count_to(tmp_path / "number", 20, database) == "40"


def test_no_addition_is_lost_on_the_servers(team: Team, tmp_path: Path) -> None:
    assert count_to(tmp_path / "number", 5, team.environment) == "10"


@contextmanager
def holder(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the lock."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLD], env=environment, cwd=PROJECT, **pipes)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_holder_frees_the_lock_of_a_database_at_once(database: dict[str, str], postgres: Postgres) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    with holder(database) as first:
        assert postgres.run(held) == "1"
        first.kill()
        first.wait()
        with holder(database):
            assert postgres.run(held) == "1"


HOLD_KEY = """
import dataclasses, sys
import tasks.runs.sole_holder
made = tasks.runs.sole_holder.shared_lock
tasks.runs.sole_holder.shared_lock = lambda *a, **k: dataclasses.replace(made(*a, **k), held_after_death=0.0)
with tasks.runs.sole_holder.sole_holder("0123456789abcdef" * 4):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_key(environment: dict[str, str]) -> "subprocess.Popen[str]":
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", HOLD_KEY], env=environment, cwd=PROJECT, **pipes)


def refused_elsewhere(environment: dict[str, str], elsewhere: Path) -> str:
    """Hold a resume key, have a process with another machine's state ask for it, and return what that one is told."""
    first = hold_key(environment)
    try:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        second = hold_key({**environment, "LSTM_TEXT_STATE": str(elsewhere)})
        _, told = second.communicate("", timeout=120)
        assert second.returncode == 1
        return told
    finally:
        first.kill()
        first.communicate()


def test_one_machine_takes_up_a_training_and_lets_go_when_it_dies(database: dict[str, str], tmp_path: Path) -> None:
    told = refused_elsewhere(database, tmp_path / "elsewhere")
    assert "another process at work on it (it holds the advisory lock" in told
    next_one = hold_key(database)
    out, told = next_one.communicate("", timeout=120)
    assert next_one.returncode == 0 and out == "held\n", told


def test_one_machine_takes_up_a_training_on_the_servers(team: Team, tmp_path: Path) -> None:
    told = refused_elsewhere(team.environment, tmp_path / "elsewhere")
    name = "lstm-text-training-0123456789abcdef"
    assert f"it holds the Prefect concurrency limit {name}" in told
