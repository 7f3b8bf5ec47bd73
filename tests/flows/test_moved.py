"""Run state whose folder was renamed or copied. Slow: trainings and answers in processes of their own."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.flows.trainings import answer, client, copy_of_trained, run, run_command
from tests.samples import write_tiny_file


def lstm_text(state: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_command(state, "none", "0", *arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder in which a model was trained."""
    state = tmp_path_factory.mktemp("state") / "first"
    assert copy_of_trained(state)["promoted"]
    return state


def test_a_renamed_state_folder_answers_and_trains_on_where_it_is(trained: Path, tmp_path: Path) -> None:
    moved = tmp_path / "ein anderer Ört" / "mlruns"
    moved.parent.mkdir()
    before, kept = trained, trained.with_name("kept")
    shutil.copytree(before, kept)
    before.rename(moved)
    try:
        predicted = lstm_text(moved, "predict", "the purr came")
        assert predicted.returncode == 0 and f"moved or copied from {before} to {moved}" in predicted.stderr
        assert "rewritten" not in lstm_text(moved, "history").stderr  # Once.
        again = answer(run(write_tiny_file(tmp_path / "more.csv", rows=75), moved))
        assert again["version"] == "2"
        assert {rule["name"]: rule["verdict"] for rule in again["rules"]}["servability"] == "passed"
        for version in client(moved).search_model_versions("name = 'text-classifier'"):
            location = client(moved).get_logged_model(version.source.removeprefix("models:/")).artifact_location
            assert location.startswith(moved.as_uri())
        assert not before.exists()
    finally:
        kept.rename(before)


def test_a_copy_leaves_the_original_as_it_was(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    files = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert lstm_text(copy, "predict", "the purr came").returncode == 0
    assert lstm_text(copy, "rollback", "--reason", "a try").returncode == 4  # There is no champion before this one.
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == files


def test_state_that_was_moved_before_this_release_names_the_command_that_fixes_it(
    trained: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    with closing(sqlite3.connect(moved / "mlflow.db")) as database, database:
        database.execute("DELETE FROM experiment_tags WHERE key = 'lstm_text.state_root'")
    refused = lstm_text(moved, "predict", "the purr came")
    assert refused.returncode == 4 and "Run `lstm-text relocate`" in refused.stderr and str(trained) in refused.stderr
    fixed = lstm_text(moved, "relocate")
    assert fixed.returncode == 0 and f"from {trained}" in fixed.stdout
    assert lstm_text(moved, "predict", "the purr came").returncode == 0
    assert lstm_text(moved, "relocate").stdout.startswith("0 locations rewritten")
