"""Two trainings and one scoring at once on a team's servers: nothing is lost. Slow: real servers and processes."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from tests.models import register, write_classifier
from tests.samples import write_tiny_file
from tests.team.conftest import Team
from tests.team.servers import PROJECT, tracking

MODEL = "team-classifier"
SCORED = 3_000
EPOCHS = 12
SMALL: dict[str, dict[str, Any]] = {
    "tokenization": {"vocab_size": 200, "max_length": 20},
    "model": {"embedding_dim": 8, "lstm_units": 4},
    # Enough to beat the champion, whose weights are fresh: the alias moves.
    "training": {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 0.02, "patience": EPOCHS},
    "promotion": {"min_compared_rows": 20},
    "registration": {"model_name": MODEL},
}
STAGES = {"load_examples", "validate_examples", "split_examples", "tokenize_and_pad", "train_model",
          "export_classifier", "evaluate_classifier", "register_classifier", "check_servable",
          "decide_promotion", "write_report"}  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What three commands left behind; scores: the file that the scoring wrote."""

    codes: dict[str, int]
    output: str
    scores: Path


@pytest.fixture(scope="module")
def done(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A training by hand, a deployed training on the worker, and a scoring by version 1, all started together."""
    folder = tmp_path_factory.mktemp("at-once")
    with tracking(team.mlflow):
        assert register(write_classifier(folder / "classifier"), MODEL) == "1"
    by_hand, deployed = write_tiny_file(folder / "a.csv", rows=240), write_tiny_file(folder / "b.csv", rows=246)
    texts = pd.DataFrame({"id": [f"t{n}" for n in range(SCORED)], "text": [f"bark {n}" for n in range(SCORED)]})
    texts.to_csv(folder / "texts.csv", index=False)

    flags = [
        word
        for section, fields in SMALL.items()
        for name, value in fields.items()
        for word in (f"--{section}.{name.replace('_', '-')}", str(value))
    ]
    parameters = [
        word
        for name, value in {**SMALL, "data": {"path": str(deployed)}}.items()
        for word in ("-p", f"{name}={json.dumps(value)}")
    ]
    deploy = ["prefect", "--no-prompt", "deployment", "run", "train-text-classifier/weekly", "--watch"]
    commands = {
        "by hand": ["lstm-text", "train", "--data.path", str(by_hand), *flags],
        "deployed": [*deploy, *parameters],
        "scoring": ["lstm-text", "score", str(folder / "texts.csv"), "--output", str(folder / "scores.parquet"),
                    "--model-uri", f"models:/{MODEL}@champion"],
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        processes = {
            name: subprocess.Popen(command, env=team.environment, cwd=PROJECT, stdout=log, stderr=log)
            for name, command in commands.items()
        }
        codes = {name: process.wait(timeout=400) for name, process in processes.items()}
    return Done(codes, (folder / "log").read_text(), folder / "scores.parquet")


@pytest.fixture
def client(team: Team) -> MlflowClient:
    return MlflowClient(team.mlflow)


def test_all_three_end_well(done: Done) -> None:
    assert done.codes == {"by hand": 0, "deployed": 0, "scoring": 0}, done.output[-6_000:]
    assert "Traceback" not in done.output


def test_both_runs_are_finished_with_every_figure_and_file(done: Done, client: MlflowClient) -> None:
    experiment = client.get_experiment_by_name("lstm-text")
    assert experiment is not None and experiment.artifact_location.startswith("mlflow-artifacts:")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(Path(run.data.tags["data_file"]).name for run in runs) == ["a.csv", "b.csv"]
    assert sorted(run.data.tags["trigger"] for run in runs) == ["manual", "manual"]
    epochs = list(range(1, EPOCHS + 1))
    for run in runs:
        assert run.info.status == "FINISHED"
        assert {f"seconds.{stage}" for stage in STAGES} | {"test_macro_f1", "best_epoch"} <= set(run.data.metrics)
        assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")] == epochs
        assert "figures/curves.png" in {item.path for item in client.list_artifacts(run.info.run_id, "figures")}


def test_both_versions_are_registered_and_the_alias_is_as_the_decisions_say(done: Done, client: MlflowClient) -> None:
    versions = client.search_model_versions(f"name = '{MODEL}'")
    assert sorted(str(version.version) for version in versions) == ["1", "2", "3"]
    runs = {str(version.version): client.get_run(version.run_id) for version in versions}
    assert len({run.info.run_id for run in runs.values()}) == 3
    told = {key: tag for version in versions for key, tag in version.tags.items() if key.startswith("decision.")}
    decisions = [json.loads(told[key]) for key in sorted(told)]  # In the order of time.
    assert sorted(one["version"] for one in decisions) == ["2", "3"]
    assert "promoted" in {one["kind"] for one in decisions}, [one["reason"] for one in decisions]
    champion = "1"
    for one in decisions:  # Each was judged against the champion that the one before it left.
        assert one["champion_before"] == champion
        champion = one["champion_version"]
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == champion


def test_a_version_is_downloaded_through_the_server_alone(done: Done, team: Team, tmp_path: Path) -> None:
    for version in ("2", "3"):
        (tmp_path / version).mkdir()
        with tracking(team.mlflow):
            folder = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=str(tmp_path / version))
        assert (Path(folder) / "artifacts" / "classifier" / "model.onnx").stat().st_size > 1_000
    assert {path.name for path in team.state.iterdir()} & {"mlflow.db", "artifacts"} == set()


def test_the_scoring_is_complete_and_by_one_version(done: Done) -> None:
    scores = pd.read_parquet(done.scores)
    assert list(scores["id"]) == [f"t{n}" for n in range(SCORED)]
    assert scores["label"].notna().all() and set(scores["model_version"]) == {"1"}


def test_prefect_knows_three_completed_flow_runs_and_all_their_task_runs(done: Done, team: Team) -> None:
    runs = requests.post(f"{team.prefect}/flow_runs/filter", json={}, timeout=30).json()
    runs = [run for run in runs if run["state_type"] != "SCHEDULED"]  # Those of next Mondays.
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * 3
    tasks = requests.post(f"{team.prefect}/task_runs/filter", json={}, timeout=30).json()
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}
    scoring, *trainings = sorted(sum(task["flow_run_id"] == run["id"] for task in tasks) for run in runs)
    assert scoring >= 1 and min(trainings) >= len(STAGES)


def test_the_rows_are_in_postgresql(done: Done, team: Team) -> None:
    mlflow_rows = team.postgres.run("SELECT status, count(*) FROM runs GROUP BY status", "mlflow")
    assert mlflow_rows == "FINISHED|3"
    started = "SELECT state_type, count(*) FROM flow_run WHERE state_type <> 'SCHEDULED' GROUP BY state_type"
    assert team.postgres.run(started, "prefect") == "COMPLETED|3"
