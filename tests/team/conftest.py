"""A team's servers, started once: PostgreSQL, and on it what deployments/compose.yaml describes."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.team.compose import Service, service
from tests.team.servers import (
    Postgres,
    find_postgres,
    free_port,
    plain_environment,
    postgres_server,
    running,
    wait_until,
)

MISSING = "PostgreSQL's server is needed: initdb on PATH or below /usr/lib/postgresql (apt-get install postgresql)"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this session's own. Without the programs: skipped, in CI a failure."""
    programs = find_postgres()
    if programs is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with postgres_server(programs) as server:
        yield server


@dataclass(frozen=True)
class Team:
    """The servers of deployments/compose.yaml, and the environment of a person or worker that uses them."""

    postgres: Postgres
    mlflow: str
    prefect: str
    state: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def team(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """MLflow and Prefect on PostgreSQL, the deployments, and a worker. Slow: real servers, about 30 s."""
    folder = tmp_path_factory.mktemp("team")
    mlflow, prefect, worker = free_port(), free_port(), free_port()
    values = {
        "POSTGRES_PASSWORD": postgres.password, "MLFLOW_PORT": str(mlflow), "PREFECT_PORT": str(prefect),
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
    }  # fmt: skip
    addresses = {
        "--host=0.0.0.0": "--host=127.0.0.1",
        "@postgres:5432": f"@127.0.0.1:{postgres.port}",
        "--port=5000": f"--port={mlflow}", "127.0.0.1:5000": f"127.0.0.1:{mlflow}",
        "http://mlflow:5000": f"http://127.0.0.1:{mlflow}",
        "--port=4200": f"--port={prefect}", "127.0.0.1:4200": f"127.0.0.1:{prefect}",
        "http://prefect:4200": f"http://127.0.0.1:{prefect}", "/prefect-home": str(folder / "prefect-home"),
        "127.0.0.1:8080": f"127.0.0.1:{worker}",
    }  # fmt: skip
    services = {name: service(name, values, addresses) for name in ("mlflow", "prefect", "deploy", "worker")}
    state = {"LSTM_TEXT_STATE": str(folder / "state"), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    own = {"worker": {**state, "PREFECT_WORKER_WEBSERVER_PORT": str(worker)}}

    with ExitStack() as stack:

        def start(name: str) -> None:
            known: Service = services[name]
            (folder / name).mkdir()
            environment = plain_environment(folder / name, **known.environment, **own.get(name, {}))
            process = stack.enter_context(running(known.command, environment, folder / name / "log"))
            if known.healthy:
                waiting.append((known.healthy, process, environment))
            else:
                assert process.wait(timeout=120) == 0, (folder / name / "log").read_text()

        waiting: list[tuple[list[str], object, dict[str, str]]] = []
        for names in (("mlflow", "prefect"), ("deploy",), ("worker",)):  # As depends_on has it.
            for name in names:
                start(name)
            for arguments in waiting:
                wait_until(*arguments)
            waiting.clear()
        environment = plain_environment(folder, **services["worker"].environment, **state)
        yield Team(
            postgres, f"http://127.0.0.1:{mlflow}", f"http://127.0.0.1:{prefect}/api", folder / "state", environment
        )
