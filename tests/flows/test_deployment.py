"""`prefect deploy`, a process worker and `prefect deployment run --watch`, as a team would. Slow: real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.samples import write_tiny_file

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server and a worker of their own, deployed to from the checkout; yields the environment."""
    state = tmp_path_factory.mktemp("team")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment = {
        **kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "LSTM_TEXT_STATE": str(state), "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_WORKER_QUERY_SECONDS": "1",
    }  # fmt: skip
    processes = [start(f"prefect server start --host 127.0.0.1 --port {port}", environment)]
    try:
        wait_until_up(f"http://127.0.0.1:{port}/api/health")
        assert prefect("work-pool create local-process --type process", environment).returncode == 0
        deployed = prefect("deploy --all --prefect-file deployments/prefect.yaml", environment)
        assert deployed.returncode == 0, deployed.stdout
        processes.append(start("prefect worker start --pool local-process --type process", environment))
        yield environment
    finally:
        for process in reversed(processes):  # The worker first: without a server it lingers.
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def start(command: str, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command.split(), env=environment, cwd=PROJECT, start_new_session=True)


def prefect(arguments: str, environment: dict[str, str], *more: str) -> "subprocess.CompletedProcess[str]":
    command = ["prefect", "--no-prompt", *arguments.split(), *more]
    return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=300)


def wait_until_up(url: str) -> None:
    for _ in range(600):
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}")


@pytest.mark.parametrize("typo", ['trainin={"epochs": 2}', 'training={"epocs": 2}', 'training={"epochs": 0}'])
def test_a_typo_in_a_parameter_is_refused_at_submission(team: dict[str, str], typo: str) -> None:
    result = prefect("deployment run train-text-classifier/weekly -p", team, typo)
    assert result.returncode == 1
    assert typo.split("=")[0] in result.stdout + result.stderr


def test_a_deployed_training_and_a_scoring_complete(team: dict[str, str], tmp_path: Path) -> None:
    path = write_tiny_file(tmp_path / "tiny.csv")
    parameters = [f'data={{"path": "{path}"}}', 'model={"embedding_dim": 8, "lstm_units": 4}', 'training={"epochs": 1}']
    flags = [word for parameter in parameters for word in ("-p", parameter)]
    trained = prefect("deployment run train-text-classifier/weekly --watch", team, *flags)
    assert trained.returncode == 0 and "Completed" in trained.stdout, trained.stdout[-3_000:]
    output = tmp_path / "out.parquet"
    scored = prefect("deployment run score-texts/score --watch", team, "-p", f"path={path}", "-p", f"output={output}")
    assert scored.returncode == 0 and output.exists(), scored.stdout[-3_000:]


def test_the_weekly_training_has_a_time_zone_and_no_overlap(team: dict[str, str]) -> None:
    url = f"{team['PREFECT_API_URL']}/deployments/name/train-text-classifier/weekly"
    deployment = requests.get(url, timeout=10).json()
    assert deployment["schedules"][0]["schedule"] == {
        "cron": "0 3 * * 1", "timezone": "Europe/Berlin", "day_or": True,
    }  # fmt: skip
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
