"""PostgreSQL as MLflow's database without a server in between. Slow: its tables are made, TensorFlow is loaded."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.cli import main
from lstm_model.errors import ModelError
from tasks.registry.registered_model import download_version
from tasks.runtime.state.local_state import artifacts_root
from tasks.runtime.tracking import ensure_experiment
from tests.models import register, write_classifier
from tests.team.conftest import Team
from tests.team.servers import Postgres, tracking


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """The address of a database of its own for MLflow."""
    postgres.run("CREATE DATABASE direct")
    return postgres.uri("direct")


@pytest.fixture
def direct(database: str) -> Iterator[str]:
    """MLflow keeps runs in the database for the time of a test."""
    with tracking(database):
        yield database


def test_artifacts_go_where_the_environment_says(
    direct: str, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", shared.as_uri())
    version = register(write_classifier(tmp_path / "classifier"), "direct-classifier")
    assert {path.name for path in shared.rglob("model.onnx")} == {"model.onnx"}
    assert (download_version("direct-classifier", version).folder / "model.onnx").exists()
    assert postgres.run("SELECT status FROM runs", "direct") == "FINISHED"


def test_otherwise_they_stay_on_this_machine_which_is_said(direct: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        experiment = MlflowClient().get_experiment(ensure_experiment("at home"))
    assert experiment.artifact_location == artifacts_root().as_uri()
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" in caplog.text


def test_an_experiment_of_the_server_is_not_written_behind_its_back(team: Team) -> None:
    with tracking(team.mlflow):
        ensure_experiment("of the server")
    address = "mlflow-artifacts:.*address of that server"
    with tracking(team.postgres.uri("mlflow")), pytest.raises(ModelError, match=address):
        ensure_experiment("of the server")


@pytest.mark.parametrize(
    ("user", "database", "found"),
    [("lstm_text:wrong", "mlflow", "password authentication failed"), ("", "nowhere", 'database "nowhere" does not')],
)
def test_a_wrong_password_or_database_is_told_and_the_password_is_not(
    user: str, database: str, found: str, postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    uri = postgres.uri(database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.replace(f"lstm_text:{postgres.password}", user) if user else uri)
    assert main(["predict", "a text"]) == 4
    error = capsys.readouterr().err
    assert found in error and "wrong@" not in error and postgres.password not in error
