"""The locks where a team shares runs: concurrency limits of its Prefect server, whether MLflow has a server or not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.team.conftest import Team
from tests.team.servers import PROJECT, plain_environment

COUNT = """
import sys, time
from pathlib import Path
from tasks.promotion.decision_record import decision_lock
file, times = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(times):
    with decision_lock("counted"):
        seen = int(file.read_text())
        time.sleep(0.05)
        file.write_text(str(seen + 1))
"""
HOLD = """
from tasks.promotion.decision_record import decision_lock
with decision_lock("held"):
    print("held", flush=True)
"""


@pytest.fixture
def database(team: Team, tmp_path: Path) -> dict[str, str]:
    """The environment of someone whose registry is the database itself, and who uses the team's Prefect server."""
    # A lock needs no tables.
    uri = team.postgres.uri("postgres")
    return plain_environment(
        tmp_path, MLFLOW_TRACKING_URI=uri, PREFECT_API_URL=team.prefect, LSTM_TEXT_STATE=str(tmp_path)
    )


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


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "postgresql://me@127.0.0.1:1/mlflow"])
def test_without_a_prefect_server_the_error_says_what_to_set(uri: str, tmp_path: Path) -> None:
    environment = plain_environment(tmp_path, MLFLOW_TRACKING_URI=uri, LSTM_TEXT_STATE=str(tmp_path))
    result = subprocess.run(
        [sys.executable, "-c", HOLD], env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 1 and result.stdout == ""
    assert "UsageError: PREFECT_API_URL names no Prefect server" in result.stderr
    assert "set PREFECT_API_URL=http://HOST:4200/api" in result.stderr


HOLD_KEY = """
import dataclasses, sys
import tasks.runs.training_run
made = tasks.runs.training_run.shared_lock
tasks.runs.training_run.shared_lock = lambda *a, **k: dataclasses.replace(made(*a, **k), expiry=float(sys.argv[2]))
with tasks.runs.training_run.sole_process(sys.argv[1] * 16):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_key(key: str, environment: dict[str, str], wait_seconds: int = 0) -> "subprocess.Popen[str]":
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", HOLD_KEY, key, str(wait_seconds)]
    return subprocess.Popen(command, env=environment, cwd=PROJECT, **pipes)


def refused_elsewhere(key: str, environment: dict[str, str], elsewhere: Path) -> str:
    """Hold a resume key, have a process with another machine's state ask for it, and return that one's error."""
    first = hold_key(key, environment)
    try:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        second = hold_key(key, {**environment, "LSTM_TEXT_STATE": str(elsewhere)})
        _, error = second.communicate("", timeout=120)
        assert second.returncode == 1
        return error
    finally:
        first.kill()
        first.communicate()


def test_one_machine_takes_up_a_training_and_the_lock_expires_when_it_dies(
    database: dict[str, str], tmp_path: Path
) -> None:
    """Slow: a lease lasts a minute."""
    error = refused_elsewhere("0123", database, tmp_path / "elsewhere")
    assert "It holds the Prefect concurrency limit lstm-text-training-0123012301230123" in error
    next_one = hold_key("0123", database, wait_seconds=150)
    out, error = next_one.communicate("", timeout=200)
    assert next_one.returncode == 0 and out == "held\n", error


def test_one_machine_takes_up_a_training_on_the_servers(team: Team, tmp_path: Path) -> None:
    error = refused_elsewhere("abcd", team.environment, tmp_path / "elsewhere")
    assert "It holds the Prefect concurrency limit lstm-text-training-abcdabcdabcdabcd" in error
