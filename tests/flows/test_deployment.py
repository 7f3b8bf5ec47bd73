"""`prefect deploy`, a process worker, `serve_flows.py` and an automation, as a team would. Slow: real processes.

One server and one worker for all tests. What a test starts, it stops.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import requests
from mlflow import MlflowClient

from tests.databases import give_prefect_database
from tests.forked import run_forked
from tests.samples import write_tiny_file

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TRAINING, SCORING, TUNING = "train-text-classifier/weekly", "score-texts/nightly", "tune-text-classifier/on-demand"
WATCHING = "watch-drift/daily"


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
    give_prefect_database(state / "prefect" / "prefect.db")
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
            stop(process)


def start(command: str, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command.split(), env=environment, cwd=PROJECT, start_new_session=True)


def stop(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def prefect(arguments: str, environment: dict[str, str], *more: str) -> "subprocess.CompletedProcess[str]":
    with TemporaryDirectory() as folder:
        return run_forked("prefect.cli:app", ["--no-prompt", *arguments.split(), *more], environment, Path(folder))


def wait_until_up(url: str) -> None:
    for _ in range(600):
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}")


def api(team: dict[str, str], path: str, **body: Any) -> Any:
    """Return what the server answers: to a GET, or to a POST if there is a body."""
    url = f"{team['PREFECT_API_URL']}/{path}"
    answer = requests.post(url, json=body, timeout=30) if body else requests.get(url, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def deployment_named(team: dict[str, str], name: str) -> dict[str, Any]:
    found: dict[str, Any] = api(team, f"deployments/name/{name}")
    return found


def runs_of(team: dict[str, str], name: str, *, planned: bool = False) -> list[dict[str, Any]]:
    """Return the flow runs of a deployment, the first that was due first; those that are only planned on request."""
    wanted = {"deployment_id": {"any_": [deployment_named(team, name)["id"]]}}
    runs = api(team, "flow_runs/filter", flow_runs=wanted, sort="EXPECTED_START_TIME_ASC")
    return [run for run in runs if planned or run["state"]["name"] != "Scheduled"]


def wait_for(found: Callable[[], Any], what: str, *, seconds: float = 120) -> Any:
    """Return the first true value that `found` gives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.5)
    raise AssertionError(f"no {what} after {seconds} s")


def cancel(team: dict[str, str], run: dict[str, Any]) -> None:
    """Cancel a run and wait until it ended."""
    api(team, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
    wait_for(lambda: api(team, f"flow_runs/{run['id']}")["state"]["type"] in ("CANCELLED", "CRASHED"), "cancelled run")


# A network of one epoch is no better than guessing; what is tested here is that it runs.
LENIENT = {"min_macro_f1": 0, "beat_guessing": False, "min_class_f1": 0, "min_compared_rows": 1}
TINY_NETWORK = ["-p", 'model={"embedding_dim": 8, "lstm_units": 4}', "-p", 'training={"epochs": 1}']


@pytest.mark.parametrize(
    "typo",
    ['trainin={"epochs": 2}', 'training={"epocs": 2}', 'training={"epochs": 0}', "trigger=chance",
     'promotion={"baseline": "maybe"}', 'registration={"model_name": "no/slash"}'],
)  # fmt: skip
def test_a_typo_in_a_parameter_is_refused_at_submission(team: dict[str, str], typo: str) -> None:
    result = prefect(f"deployment run {TRAINING} -p", team, typo)
    assert result.returncode == 1
    assert typo.split("=")[0] in result.stdout + result.stderr


@pytest.mark.parametrize("name", [TRAINING, SCORING, TUNING])
def test_every_field_of_the_form_has_a_readable_name_and_a_description(team: dict[str, str], name: str) -> None:
    schema = deployment_named(team, name)["parameter_openapi_schema"]
    definitions, fields = schema.get("definitions", {}), dict(schema["properties"])
    for section, definition in definitions.items():
        fields |= {f"{section}.{key}": field for key, field in definition["properties"].items()}
    for key, field in fields.items():
        # A title that equals its section's is written there only.
        shown = field.get("title") or definitions[field["$ref"].rpartition("/")[2]]["title"]
        assert shown[0].isupper() and "_" not in shown, key
        assert field["description"].endswith("."), key


def test_the_form_knows_choices_and_bounds(team: dict[str, str]) -> None:
    schema = deployment_named(team, TRAINING)["parameter_openapi_schema"]
    assert schema["properties"]["trigger"]["enum"] == ["manual", "schedule", "drift", "feedback"]
    units = schema["definitions"]["ModelConfig"]["properties"]["lstm_units"]
    assert (units["title"], units["minimum"]) == ("LSTM units", 1)


def test_a_deployed_training_and_a_scoring_complete(team: dict[str, str], tmp_path: Path) -> None:
    path = write_tiny_file(tmp_path / "tiny.csv")
    data = ["-p", f'data={{"path": "{path}"}}', *TINY_NETWORK, "-p", f"promotion={json.dumps(LENIENT)}"]
    trained = prefect(f"deployment run {TRAINING} --watch", team, *data)
    assert trained.returncode == 0 and "Completed" in trained.stdout, trained.stdout[-3_000:]
    output = tmp_path / "out.parquet"
    scored = prefect(f"deployment run {SCORING} --watch", team, "-p", f"path={path}", "-p", f"output={output}")
    assert scored.returncode == 0 and output.exists(), scored.stdout[-3_000:]
    watched = prefect(f"deployment run {WATCHING} --watch", team, "-p", f"path={path}")
    assert watched.returncode == 0 and "Completed" in watched.stdout, watched.stdout[-3_000:]


def test_a_deployed_search_completes(team: dict[str, str], tmp_path: Path) -> None:
    path = write_tiny_file(tmp_path / "tiny.csv")
    tuning = {"trials": 2, "space": {"model.lstm_units": [2, 4]}}
    flags = ["-p", f'data={{"path": "{path}"}}', *TINY_NETWORK, "-p", f"tuning={json.dumps(tuning)}"]
    tuned = prefect(f"deployment run {TUNING} --watch", team, *flags)
    assert tuned.returncode == 0, tuned.stdout[-3_000:]
    assert (Path(team["LSTM_TEXT_STATE"]) / "tuned" / "tiny.yaml").is_file()


@pytest.mark.parametrize(("name", "cron"), [(TRAINING, "0 3 * * 1"), (SCORING, "0 1 * * *")])
def test_schedules_have_a_time_zone_no_overlap_and_runs_that_are_planned(
    team: dict[str, str], name: str, cron: str
) -> None:
    deployment = deployment_named(team, name)
    assert deployment["schedules"][0]["schedule"] == {"cron": cron, "timezone": "Europe/Berlin", "day_or": True}
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    # A scheduler that fails does so in the server's log: with SQLAlchemy 2.1 nothing was planned.
    planned = wait_for(lambda: [run for run in runs_of(team, name, planned=True) if run["auto_scheduled"]], "plan")
    if name == TRAINING:
        assert {run["parameters"]["trigger"] for run in planned} == {"schedule"}


def test_a_drift_event_starts_one_training_and_another_meanwhile_is_cancelled(team: dict[str, str]) -> None:
    assert prefect("deploy --all --prefect-file deployments/prefect.yaml", team).returncode == 0  # Twice is once.
    before = {run["id"] for run in runs_of(team, TRAINING)}

    def new_runs() -> list[dict[str, Any]]:
        return [run for run in runs_of(team, TRAINING) if run["id"] not in before]

    emit_drift(team)
    (started,) = wait_for(lambda: [run for run in new_runs() if run["state"]["type"] == "RUNNING"], "running training")
    assert started["parameters"]["trigger"] == "drift"
    try:
        emit_drift(team)
        ended = wait_for(lambda: [run for run in new_runs() if run["id"] != started["id"]], "second training")
        (second,) = wait_for(
            lambda: [run for run in new_runs() if run["state"]["type"] == "CANCELLED"], "cancelled run"
        )
        assert len(ended) == 1 and second["state"]["message"] == "Deployment concurrency limit reached."
        assert len(new_runs()) == 2, "one training for each event"
    finally:
        cancel(team, started)


def emit_drift(team: dict[str, str]) -> None:
    event = {
        "event": "lstm-text.drift", "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "resource": {"prefect.resource.id": "lstm-text.model.text-classifier"},
        "payload": {"model_name": "text-classifier", "version": "1", "reason": "drift", "batches": ["b1", "b2"]},
        "id": str(uuid.uuid4()),
    }  # fmt: skip
    url = f"{team['PREFECT_API_URL']}/events"
    requests.post(url, json=[event], timeout=30).raise_for_status()


def test_a_cancelled_training_ends_as_killed_and_goes_on_when_it_is_retried(
    team: dict[str, str], tmp_path: Path
) -> None:
    path = write_tiny_file(tmp_path / "cancelled.csv", rows=66)
    training = {"epochs": 150, "patience": 150, "batch_size": 8}
    parameters = {
        "data": {"path": str(path)}, "model": {"embedding_dim": 8, "lstm_units": 4}, "training": training,
        "promotion": LENIENT, "registration": {"model_name": "cancelled", "experiment_name": "cancelled"},
    }  # fmt: skip
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}={json.dumps(value)}")]
    before = {run["id"] for run in runs_of(team, TRAINING)}
    assert prefect(f"deployment run {TRAINING}", team, *arguments).returncode == 0
    epochs = wait_for(lambda: [one for one in mlflow_runs(team) if one.data.metrics.get("train_loss")], "first epoch")
    (run,) = [run for run in runs_of(team, TRAINING) if run["id"] not in before]
    cancel(team, run)
    killed = wait_for(lambda: [one for one in mlflow_runs(team) if one.info.status != "RUNNING"], "end of the run")[0]
    assert killed.info.status == "KILLED" and killed.data.tags["failure_reason"] == "interrupted"

    assert prefect(f"flow-run retry {run['id']}", team).returncode == 0
    (finished,) = wait_for(
        lambda: [one for one in mlflow_runs(team) if one.info.status == "FINISHED"], "finished run", seconds=300
    )
    assert len(mlflow_runs(team)) == 1 and finished.info.run_id == epochs[0].info.run_id
    history = tracking(team).get_metric_history(finished.info.run_id, "train_loss")
    assert [metric.step for metric in history] == list(range(1, 151))
    assert "failure_reason" not in finished.data.tags and finished.data.tags["decision"] == "promoted"


def tracking(team: dict[str, str]) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{team['LSTM_TEXT_STATE']}/mlflow.db")


def mlflow_runs(team: dict[str, str]) -> list[Any]:
    found = tracking(team).get_experiment_by_name("cancelled")
    return list(tracking(team).search_runs([found.experiment_id])) if found else []


def test_slots_that_were_missed_give_one_run_also_where_a_worker_takes_one_at_a_time(
    team: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "prefect.yaml"
    entry = {
        "name": "missed", "entrypoint": "flows/scoring.py:score_texts", "work_pool": {"name": "missed"},
        "parameters": {"path": "nowhere.csv", "output": str(tmp_path / "out.csv")},  # Fails, which is soon enough.
        "schedules": [{"interval": 10}],
    }  # fmt: skip
    file.write_text(json.dumps({"deployments": [entry]}), "utf-8")
    assert prefect("work-pool create missed --type process", team).returncode == 0
    assert prefect(f"deploy --all --prefect-file {file}", team).returncode == 0
    missed = wait_for(lambda: [ids] if len(ids := due_runs(team)) >= 3 else None, "three missed slots")[0]
    worker = start("prefect worker start --pool missed --type process --limit 1", team)
    try:
        ended = wait_for(lambda: ended_runs(team, missed), "end of the missed runs")
    finally:
        stop(worker)
        assert prefect("deployment delete score-texts/missed", team).returncode == 0
    assert sorted(run["state"]["type"] for run in ended) == ["CANCELLED"] * (len(missed) - 1) + ["FAILED"]
    assert "does its work" in next(run["state"]["message"] for run in ended if run["state"]["type"] == "CANCELLED")


def due_runs(team: dict[str, str]) -> set[str]:
    return {run["id"] for run in runs_of(team, "score-texts/missed") if run["state"]["name"] == "Late"}


def ended_runs(team: dict[str, str], ids: set[str]) -> list[dict[str, Any]] | None:
    """Return the runs when all have ended."""
    runs = [run for run in runs_of(team, "score-texts/missed") if run["id"] in ids]
    return runs if all(run["state"]["type"] in ("COMPLETED", "FAILED", "CANCELLED") for run in runs) else None


def test_one_process_serves_the_deployments_without_a_worker(team: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} deployments/serve_flows.py"
    refused = subprocess.run(command.split(), env=team, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 4 and "deployed to the work pool local-process" in refused.stderr
    serving = start(f"{command} --take-over", team)
    try:
        wait_for(lambda: served(team), "served deployments")
        training = deployment_named(team, TRAINING)
        assert training["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
        assert training["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        path = write_tiny_file(tmp_path / "tiny.csv")
        trained = prefect(f"deployment run {TRAINING} --watch -p", team, f'data={{"path": "{path}"}}', *TINY_NETWORK)
        assert trained.returncode == 0 and "Completed" in trained.stdout, trained.stdout[-3_000:]
    finally:
        stop(serving)
    assert not deployment_named(team, TRAINING)["paused"], "what comes due meanwhile is run at the next start"
    assert prefect("deploy --all --prefect-file deployments/prefect.yaml", team).returncode == 0
    assert deployment_named(team, TRAINING)["work_pool_name"] == "local-process"
    assert len(api(team, "automations/filter", limit=200)) == 1


def served(team: dict[str, str]) -> bool:
    """Return whether all deployments are there, and in no work pool."""
    url = f"{team['PREFECT_API_URL']}/deployments/name"
    found = [requests.get(f"{url}/{name}", timeout=30) for name in (TRAINING, SCORING, TUNING)]
    return all(answer.ok and answer.json()["work_pool_name"] is None for answer in found)


def test_serving_without_a_server_says_what_to_start(team: dict[str, str]) -> None:
    with socket.socket() as probe:  # Bound, not listening: nobody else answers there.
        probe.bind(("127.0.0.1", 0))
        environment = {**team, "PREFECT_API_URL": f"http://127.0.0.1:{probe.getsockname()[1]}/api"}
        result = subprocess.run([sys.executable, "deployments/serve_flows.py"], env=environment, cwd=PROJECT,
                                capture_output=True, text=True, timeout=120)  # fmt: skip
    assert result.returncode == 4
    assert "Start one with make ui" in result.stderr and "Traceback" not in result.stderr
