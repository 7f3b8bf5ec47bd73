"""`kill -9` at many points, and the same command again: one run, one version, one decision, the same figures.

Slow: every kill is a process of its own that loads TensorFlow and starts Prefect's server.
"""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from tests.flows.trainings import (
    answer,
    client,
    command,
    copy_of_trained,
    environment,
    figures,
    run,
    runs,
    trained,
    wait_for_a_run,
)

# Where a process is killed: half-written stages and checkpoints, mid-epoch, while logging, registering, deciding.
PLACES = {
    "pathlib:Path.rename": 12,
    "pathlib:Path.rename+": 12,
    "lstm_model.network.training:pad_batch": 12,
    "mlflow:MlflowClient.log_batch+": 14,
    "mlflow.pyfunc:log_model": 1,
    "mlflow.pyfunc:log_model+": 1,
    "mlflow:register_model+": 1,
    "mlflow:MlflowClient.log_dict+": 1,
    "mlflow:MlflowClient.set_model_version_tag": 9,
    "mlflow:MlflowClient.set_registered_model_alias": 2,
    "mlflow:MlflowClient.set_registered_model_alias+": 2,
}
KILLS = 6


@pytest.fixture(scope="module")
def data() -> Path:
    return trained()[0]


def embedded_servers(state: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if "prefect.server.api.server:create_app" in (process.info["cmdline"] or []):
                found += [process] if process.environ().get("LSTM_TEXT_STATE") == str(state) else []
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A training that nobody disturbed."""
    state = tmp_path_factory.mktemp("whole") / "state"
    return state, copy_of_trained(state)


def test_killed_at_random_points_it_ends_as_if_nothing_had_happened(
    data: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    rng = random.Random(20)
    codes = []
    for place in rng.sample(sorted(PLACES), KILLS):
        codes.append(run(data, tmp_path, place, rng.randint(1, PLACES[place])).returncode)
        if codes[-1] == 0:
            break
    finished = (
        answer(run(data, tmp_path)) if codes[-1] else json.loads((tmp_path / "stdout").read_text().splitlines()[-1])
    )
    assert codes.count(-signal.SIGKILL) >= 3, codes

    (only,) = runs(tmp_path)
    assert only.info.status == "FINISHED" and only.info.run_id == finished["run_id"]
    assert only.data.tags["prefect.flow_run_url"].startswith("http://127.0.0.1:4200/")  # Where `make ui` shows it.
    (version,) = client(tmp_path).search_model_versions("name = 'text-classifier'")
    assert len([key for key in version.tags if key.startswith("decision.")]) == 1
    aliases = client(tmp_path).get_registered_model("text-classifier").aliases
    assert {name: str(number) for name, number in aliases.items()} == {"candidate": "1", "champion": "1"}
    models = client(tmp_path).search_logged_models([only.info.experiment_id])
    assert len(models) == 1
    decisions = client(tmp_path).list_artifacts(only.info.run_id, "decisions")
    assert len(decisions) == 1

    state, undisturbed = whole
    assert figures(tmp_path, only.info.run_id) == figures(state, undisturbed["run_id"])
    for name in ("train_loss", "validation_log_loss"):
        curves = [
            [(metric.step, metric.value) for metric in client(at).get_metric_history(run_id, name)]
            for at, run_id in ((tmp_path, only.info.run_id), (state, undisturbed["run_id"]))
        ]
        assert curves[0] == curves[1]
    tables = [next(at.glob("stages/evaluation/*/predictions.parquet")) for at in (tmp_path, state)]
    pd.testing.assert_frame_equal(*(pd.read_parquet(table) for table in tables), check_exact=True)


def test_the_flow_runs_that_were_killed_are_crashed_and_their_servers_gone(data: Path, tmp_path: Path) -> None:
    assert run(data, tmp_path, "lstm_model.network.training:pad_batch", 3).returncode == -signal.SIGKILL
    assert run(data, tmp_path, "lstm_model.network.training:pad_batch", 3).returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20  # A server ends when its parent is gone; it takes a moment to close.
    while embedded_servers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert embedded_servers(tmp_path) == []
    finished = answer(run(data, tmp_path))
    (only,) = runs(tmp_path)
    assert len(only.data.tags["prefect.earlier_flow_runs"].split(",")) == 2
    states = flow_run_states(tmp_path)
    assert sorted(states.values()) == ["COMPLETED", "CRASHED", "CRASHED"]
    assert states[only.data.tags["prefect.flow_run_id"]] == "COMPLETED" and finished["promoted"]


def flow_run_states(state: Path) -> dict[str, str]:
    """Return the state of each flow run, as Prefect's database has it."""
    import sqlite3

    with sqlite3.connect(state / "prefect" / "prefect.db") as database:
        rows = database.execute("SELECT id, state_type FROM flow_run").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def newest_log(state: Path) -> str:
    """Return what Prefect and other libraries said in the last command."""
    return max((state / "logs").iterdir(), key=lambda path: path.stat().st_mtime).read_text("utf-8")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_ctrl_c_and_a_closed_terminal_end_within_seconds_and_the_run_goes_on_later(
    number: signal.Signals, code: int, data: Path, tmp_path: Path
) -> None:
    flags = ["--training.epochs", "400", "--training.patience", "400"]
    with (tmp_path / "stdout").open("w") as out, (tmp_path / "stderr").open("w") as err:
        process = subprocess.Popen(
            [*command(data), *flags], env=environment(tmp_path), stdout=out, stderr=err, start_new_session=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # A background shell or nohup ignores it.
        )  # fmt: skip
        deadline = time.monotonic() + 240
        while "Epoch 2:" not in (tmp_path / "stderr").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, number)  # As a terminal does: the whole group.
        if number == signal.SIGHUP:
            process.send_signal(number)  # Its shell passes it on once more.
        assert process.wait(timeout=30) == code
    told = (tmp_path / "stderr").read_text()
    assert told.rstrip().endswith("lstm-text: interrupted") or "lstm-text: interrupted" in told
    (only,) = runs(tmp_path)
    assert only.info.status == "KILLED" and only.data.tags["failure_reason"] == "interrupted"
    assert list(flow_run_states(tmp_path).values()) == ["CRASHED"]


def test_two_trainings_of_the_same_data_do_not_run_at_once(data: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        first = subprocess.Popen(command(data), env=environment(tmp_path), stdout=out, stderr=out)
        wait_for_a_run(tmp_path)
        second = run(data, tmp_path)
        assert second.returncode == 4 and "Another process trains on the same data" in second.stderr
        assert first.wait(timeout=300) == 0, (tmp_path / "out").read_text()[-2_000:]
    assert len(runs(tmp_path)) == 1


def test_a_manual_rerun_writes_a_run_and_registers_nothing_and_a_scheduled_one_ends_early(
    data: Path, whole: tuple[Path, dict[str, Any]]
) -> None:
    state, first = whole
    again = answer(run(data, state))
    assert (
        again["run_id"] != first["run_id"] and again["version"] == first["version"] and again["decision"] == "unchanged"
    )
    assert figures(state, again["run_id"]) == {**figures(state, first["run_id"]), "promoted": 0.0}
    scheduled = run(data, state, "none", 0, "--trigger", "schedule")
    unchanged = answer(scheduled)
    assert unchanged["run_id"] == again["run_id"] and unchanged["decision"] == "unchanged"
    assert "Completed (unchanged)" in newest_log(state)
    assert len(runs(state)) == 2
    assert len(client(state).search_model_versions("name = 'text-classifier'")) == 1
    forced = run(data, state, "none", 0, "--trigger", "schedule", "--force-retrain", "--no-cache")
    assert answer(forced)["run_id"] not in (first["run_id"], again["run_id"])
    assert "load-examples" in forced.stderr and "cached: " not in forced.stderr
    np.testing.assert_equal(answer(forced)["metrics"], first["metrics"])
