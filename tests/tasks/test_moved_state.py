"""Where run state was moved or copied, the locations in its tracking database follow; nothing else does."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from flows.cli import main
from lstm_model.errors import ModelError
from tasks.runtime.state import relocation as moved_state
from tasks.runtime.state.relocation import LOCATIONS, TAG, relocate
from tasks.runtime.state.tracking_database import prepare_tracking_database

ELSEWHERE = ["s3://bucket/lstm-text", "mlflow-artifacts:/3", "/data/artifacts", "file:///data/first%20state/x"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State with a run, a logged model, a version and a dataset, in a path with a space and an umlaut."""
    state = tmp_path_factory.mktemp("made") / "Zustand für alle"
    with pytest.MonkeyPatch.context() as patched:
        use(state, patched)
        prepare_tracking_database()
    client = client_of(state)
    experiment = client.create_experiment("lstm-text", (state / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "{}", "config.json")
    model = client.create_logged_model(experiment, name="classifier", source_run_id=run)
    files = state / "artifacts" / "models" / model.model_id / "artifacts"
    files.mkdir(parents=True)
    (files / "MLmodel").write_text("flavors: {}\n")
    client.create_registered_model("text-classifier")
    client.create_model_version("text-classifier", files.as_uri(), run, model_id=model.model_id)
    with closing(sqlite3.connect(state / "mlflow.db")) as database, database:
        source = f'{{"uri": "{state}/stages/examples/aa/examples.parquet"}}'
        database.execute(
            "INSERT INTO datasets VALUES ('d', ?, 'a.csv', 'aa', 'local', ?, '', '')", (experiment, source)
        )
    for number, location in enumerate(ELSEWHERE):
        client.create_experiment(f"elsewhere {number}", location)
    SqlAlchemyStore._get_or_create_engine(uri_of(state)).dispose()
    return state


def uri_of(state: Path) -> str:
    return f"sqlite:///{state / 'mlflow.db'}"


def client_of(state: Path) -> MlflowClient:
    return MlflowClient(uri_of(state), uri_of(state))


def use(state: Path, patched: pytest.MonkeyPatch) -> None:
    patched.setenv("LSTM_TEXT_STATE", str(state))
    patched.setenv("MLFLOW_TRACKING_URI", uri_of(state))


def locations(state: Path) -> list[str]:
    with closing(sqlite3.connect(state / "mlflow.db")) as database:
        found = [database.execute(f"SELECT {column} FROM {table}").fetchall() for table, column in LOCATIONS]
        return sorted(value for rows in found for (value,) in rows if value)


def forget(state: Path) -> None:
    """Make a database as one of a release that did not keep its folder."""
    with closing(sqlite3.connect(state / "mlflow.db")) as database, database:
        database.execute("DELETE FROM experiment_tags WHERE key = ?", (TAG,))


def copied(made: Path, place: Path) -> Path:
    """Return a copy of the state that was last used where it is."""
    shutil.copytree(made, place)
    relocate(place / "mlflow.db", place)
    return place


def move(state: Path, place: Path) -> Path:
    """Move a folder, into itself or over what it is in as well; return where it is."""
    on_its_way = state.rename(state.parents[1] / "on its way")
    if state.is_relative_to(place):
        place.rmdir()
    place.parent.mkdir(exist_ok=True)
    return on_its_way.rename(place)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("in/a", "in/b"),
        ("in/a", "in/ein anderer Örtchen, 100 % neu#1"),
        ("in/a", "in/a/inside"),
        ("in/a", "in"),
        ("in/a", "in/a longer name"),
    ],
)
def test_every_location_follows_the_state(
    old: str, new: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copied(made, tmp_path / old)
    recorded = locations(state)
    moved = move(state, tmp_path / new)
    use(moved, monkeypatch)
    prepare_tracking_database()
    expected = [
        text.replace(f"{state.as_uri()}/", f"{moved.as_uri()}/")
        if text.startswith("file:")
        else text.replace(f"{state}/", json.dumps(f"{moved}/")[1:-1])
        for text in recorded
    ]
    assert locations(moved) == sorted(expected) and len(set(recorded) - set(expected)) == 5
    assert set(ELSEWHERE) <= set(locations(moved))
    before = (moved / "mlflow.db").read_bytes()
    prepare_tracking_database()
    assert (moved / "mlflow.db").read_bytes() == before  # Once.


def test_files_are_read_and_written_where_the_state_is(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = copied(made, tmp_path / "state")
    moved = state.rename(tmp_path / "moved state")
    use(moved, monkeypatch)
    prepare_tracking_database()
    assert f"moved or copied from {state} to {moved}; 7 locations were rewritten" in caplog.text
    client = client_of(moved)
    (version,) = client.search_model_versions("name = 'text-classifier'")
    assert Path(client.download_artifacts(version.run_id, "config.json")).read_text() == "{}"
    assert client.get_model_version_download_uri(version.name, version.version).startswith(moved.as_uri())
    experiment = client.get_experiment_by_name("lstm-text")
    client.log_text(client.create_run(experiment.experiment_id).info.run_id, "{}", "config.json")
    assert not state.exists()


def test_the_original_of_a_copy_stays_as_it_is(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = copied(made, tmp_path / "state")
    copy = tmp_path / "copy"
    shutil.copytree(state, copy)
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    use(copy, monkeypatch)
    prepare_tracking_database()
    assert not [found for found in locations(copy) if f"{state}/" in found or f"{state.as_uri()}/" in found]
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_a_folder_that_is_mounted_at_two_places_is_not_moved(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copied(made, tmp_path / "state")
    before = locations(state)
    (tmp_path / "same").symlink_to(state)
    moved_state.follow_move(state / "mlflow.db", tmp_path / "same")  # state_root() itself resolves links, not mounts.
    assert locations(state) == before


def test_state_of_an_older_release_that_was_moved_names_the_command_that_fixes_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = copied(made, tmp_path / "state")
    forget(state)
    moved = state.rename(tmp_path / "moved")
    use(moved, monkeypatch)
    assert main(["history"]) == 4
    error = capsys.readouterr().err
    assert "Run `lstm-text relocate`" in error and str(state) in error and "\n" not in error.strip()
    assert main(["relocate", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer == {"moved_from": [str(state)], "locations": 7, "left_behind": 0}
    prepare_tracking_database()
    assert not [found for found in locations(moved) if f"{state}/" in found or f"{state.as_uri()}/" in found]
    assert main(["relocate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["locations"] == 0


def test_state_of_an_older_release_that_was_not_moved_is_used_as_it_is(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copied(made, tmp_path / "state")
    forget(state)
    before = locations(state)
    use(state, monkeypatch)
    prepare_tracking_database()
    assert locations(state) == before
    moved = state.rename(tmp_path / "moved")  # From now on it is followed.
    use(moved, monkeypatch)
    prepare_tracking_database()
    assert locations(moved) != before


def test_files_that_an_older_release_left_in_the_former_folder_are_counted(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copied(made, tmp_path / "state")
    forget(state)
    moved = state.rename(tmp_path / "moved")
    client = client_of(moved)
    run = client.create_run(client.get_experiment_by_name("lstm-text").experiment_id)
    client.log_text(run.info.run_id, "{}", "config.json")  # As it did: at the place that is recorded.
    assert state.exists()
    assert relocate(moved / "mlflow.db", moved).left_behind == 1


def test_an_error_in_the_middle_changes_nothing(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = copied(made, tmp_path / "state")
    before = locations(state)
    moved = state.rename(tmp_path / "moved")
    with closing(sqlite3.connect(moved / "mlflow.db")) as database, database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END"
        )
    use(moved, monkeypatch)
    with pytest.raises(ModelError, match="the disk is gone"):
        prepare_tracking_database()
    assert locations(moved) == before


def test_relocate_needs_the_embedded_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(tmp_path, monkeypatch)
    assert main(["relocate"]) == 2
    assert str(tmp_path) in capsys.readouterr().err
