"""PostgreSQL goes down and comes up again, several times, while a training keeps its runs there. Slow: a training."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from mlflow import MlflowClient

from tests.flows.trainings import answer, check_one_of_everything, command, environment
from tests.samples import write_tiny_file
from tests.team.servers import Postgres, prefect_server, tracking

RESTARTS = 4
DOWN_SECONDS, UP_SECONDS = 3.0, 1.0  # A fast training has fewer than RESTARTS of them with longer pauses.


def restart(postgres: Postgres, database: str) -> None:
    """Kill a session, upon which PostgreSQL ends all of them and recovers; take no new ones for DOWN_SECONDS."""
    postgres.run(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    session = postgres.run(f"SELECT min(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    if session:  # None where the training has no connection at this moment: it will not get one either.
        with contextlib.suppress(ProcessLookupError):  # Closed since.
            os.kill(int(session), signal.SIGKILL)
    time.sleep(DOWN_SECONDS)
    postgres.run(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


def test_a_training_outlives_a_database_that_restarts(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE DATABASE restarted")
    data, uri = write_tiny_file(tmp_path / "tiny.csv", rows=81), postgres.uri("restarted")
    restarts = 0
    variables = {**environment(tmp_path), "MLFLOW_TRACKING_URI": uri}
    with (
        prefect_server(tmp_path) as variables["PREFECT_API_URL"],
        (tmp_path / "stdout").open("w") as out,
        (tmp_path / "stderr").open("w") as err,
    ):
        process = subprocess.Popen(command(data), env=variables, stdout=out, stderr=err)
        while process.poll() is None:
            told = (tmp_path / "stderr").read_text()
            # On a slow machine the first ones fall in the imports between two requests: until one was noticed.
            if "load-examples" in told and (restarts < RESTARTS or "retrying in" not in told):
                restart(postgres, "restarted")
                restarts += 1
                time.sleep(UP_SECONDS)
            time.sleep(0.1)
    told = (tmp_path / "stderr").read_text()
    finished = answer(subprocess.CompletedProcess([], process.returncode, (tmp_path / "stdout").read_text(), told))
    assert restarts >= RESTARTS and "retrying in" in told and "Traceback" not in told
    with tracking(uri):
        check_one_of_everything(MlflowClient(), finished["run_id"])
    # For all the errors on the way, the address's password stands nowhere: state, both databases, what was printed.
    dumped = subprocess.run([postgres.bin / "pg_dump", uri], capture_output=True, check=True).stdout
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert finished["run_id"].encode() in dumped
    assert [content for content in (dumped, *written) if postgres.password.encode() in content] == []
