"""deployments/compose.yaml, .env.example and the Dockerfile: no Docker needed. Slow: the services' commands start."""

import re
import subprocess

import pytest
import requests

from tests.team.compose import COMPOSE, load
from tests.team.conftest import Team
from tests.team.servers import BIN, PROJECT, plain_environment

TEXT = COMPOSE.read_text("utf-8")
WITH_PASSWORD = {"POSTGRES_PASSWORD": "p@ss:w/ord"}


def test_the_compose_file_is_valid_by_the_schema_of_the_compose_specification() -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_dockerfile_passes_hadolint() -> None:
    result = subprocess.run([BIN / "hadolint", "deployments/Dockerfile"], cwd=PROJECT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_every_image_has_a_tag_and_every_port_is_on_loopback() -> None:
    services = load(WITH_PASSWORD)["services"]
    assert [name for name, found in services.items() if not re.search(r":\d+(\.\d+)+", found["image"])] == []
    bases = re.findall(r"^FROM (\S+)", (PROJECT / "deployments" / "Dockerfile").read_text(), re.MULTILINE)
    assert [base for base in bases if ":" in base and not re.search(r":\d+(\.\d+){2}-", base)] == []
    ports = [port for found in services.values() for port in found.get("ports", [])]
    assert ports == ["127.0.0.1:5001:5000", "127.0.0.1:4200:4200"]


def test_without_a_password_nothing_starts_and_no_address_holds_one() -> None:
    with pytest.raises(KeyError, match=r"POSTGRES_PASSWORD: put it in deployments/\.env"):
        load({})
    services = load(WITH_PASSWORD)["services"].values()
    given = [value for found in services for value in found["environment"].values() if value]
    assert [value for value in given if "p@ss" in value] == ["p@ss:w/ord"] * 3


def test_the_example_names_every_variable_of_the_compose_file() -> None:
    passed_on = re.findall(r"^ +([A-Z][A-Z0-9_]+):$", TEXT, re.MULTILINE)
    wanted = {*re.findall(r"\$\{(\w+)", TEXT), *passed_on}
    example = (PROJECT / "deployments" / ".env.example").read_text("utf-8")
    assert set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) == wanted
    assert subprocess.run(["git", "check-ignore", "-q", "deployments/.env"], cwd=PROJECT).returncode == 0


def test_every_service_starts_and_answers_its_health_check(team: Team) -> None:
    assert requests.get(f"{team.prefect}/health", timeout=30).json() is True
    deployments = requests.post(f"{team.prefect}/deployments/filter", json={}, timeout=30).json()
    assert {"weekly", "nightly", "on-demand"} <= {deployment["name"] for deployment in deployments}


@pytest.mark.parametrize(("host", "status"), [("mlflow:5000", 200), ("elsewhere.example", 403)])
def test_mlflow_answers_the_worker_under_its_name_and_no_foreign_host(team: Team, host: str, status: int) -> None:
    address = f"{team.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert requests.get(address, headers={"Host": host}, timeout=30).status_code == status


def test_deploying_again_changes_nothing_and_succeeds(team: Team) -> None:
    command = load(WITH_PASSWORD)["services"]["deploy"]["command"]
    environment = plain_environment(team.state.parent / "deploy", PREFECT_API_URL=team.prefect)
    result = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
