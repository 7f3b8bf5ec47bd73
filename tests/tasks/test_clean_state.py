"""`lstm-text clean`: what is old goes, what is in use stays."""

import os
import time
from datetime import timedelta
from pathlib import Path

import mlflow
import pytest
from filelock import FileLock
from mlflow import MlflowClient

from tasks.runs.clean_state import Cleaned, clean_state
from tasks.runtime.tracking import ensure_experiment
from tests.models import register, write_classifier

EXPERIMENT = "models-for-tests"
MONTH = timedelta(days=30)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSTM_TEXT_STATE", str(tmp_path))
    return tmp_path


def make(folder: Path, *, days: float, size: int = 1_000) -> Path:
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * size)
    then = time.time() - days * 86_400
    os.utime(folder, (then, then))
    return folder


def cleaned(kind: str, *, dry_run: bool = False, experiment: str = "no such experiment") -> Cleaned:
    found = clean_state(older_than=MONTH, experiment_name=experiment, dry_run=dry_run)
    return next(one for one in found if one.what == kind)


def test_stages_that_were_not_used_for_a_month_go(state: Path) -> None:
    old = make(state / "stages" / "trained" / "aa", days=31, size=5_000)
    young = make(state / "stages" / "trained" / "bb", days=29)
    dry = cleaned("stages", dry_run=True)
    assert (dry.count, dry.bytes, dry.names) == (1, 5_000, ["stages/trained/aa"]) and old.exists()
    assert cleaned("stages").count == 1
    assert not old.exists() and young.exists()


def test_leftovers_of_crashes_go_unless_a_process_is_at_work_on_them(state: Path) -> None:
    building = state / "stages" / ".building"
    for name in ("trained-aa", "trained-aa.checkpoint", "trained-bb", "trained-cc.checkpoint"):
        make(building / name, days=2 if "cc" in name else 40)
    for name in ("trained-aa", "trained-bb", "trained-cc"):
        (building / f"{name}.lock").touch()
    with FileLock(building / "trained-bb.lock"):
        assert cleaned("stages left by crashes").count == 2
    left = sorted(path.name for path in building.iterdir() if path.is_dir())
    assert left == ["trained-bb", "trained-cc.checkpoint"]


def test_downloads_and_reports_on_refused_data_go(state: Path) -> None:
    make(state / "downloads" / "text-classifier" / "1" / "digest", days=40)
    make(state / "refused" / "run", days=40)
    assert cleaned("downloaded versions", dry_run=True).count == 1
    assert cleaned("reports on refused data").count == 1


def test_old_runs_and_versions_go_but_never_one_with_an_alias(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "classifier")
    versions = [register(folder, "cleaned") for _ in range(3)]  # Each takes the alias champion.
    client = MlflowClient()
    client.set_registered_model_alias("cleaned", "previous", versions[1])
    runs = {version: client.get_model_version("cleaned", version).run_id for version in versions}
    with mlflow.start_run(experiment_id=ensure_experiment(EXPERIMENT)) as failed:
        mlflow.log_text("x" * 2_000, "big.txt")
    found = clean_state(older_than=timedelta(seconds=-60), experiment_name=EXPERIMENT, dry_run=False)
    removed = {one.what: one for one in found}
    assert runs[versions[0]] in removed["runs"].names and failed.info.run_id in removed["runs"].names
    assert removed["runs"].bytes > 2_000
    assert "cleaned 1" in removed["model versions"].names
    left = {str(one.version) for one in client.search_model_versions("name = 'cleaned'")}
    assert left == {versions[1], versions[2]}
    experiment = ensure_experiment(EXPERIMENT)
    kept = {run.info.run_id for run in client.search_runs([experiment])}
    assert {runs[versions[1]], runs[versions[2]]} <= kept
    with pytest.raises(mlflow.MlflowException, match=failed.info.run_id):
        client.get_run(failed.info.run_id)  # Not only marked as deleted.
    answers = mlflow.pyfunc.load_model("models:/cleaned@champion")
    assert answers is not None
