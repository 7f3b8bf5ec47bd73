"""A database appears whole or not at all. Slow: Prefect's takes 7 s to make, and is killed ten times in it."""

import importlib.util
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from alembic.script import ScriptDirectory
from mlflow import MlflowClient

from lstm_model.errors import ModelError
from tasks.runtime.state.sqlite_files import make_whole, release_locks
from tasks.runtime.state.tracking_database import embedded_database, prepare_tracking_database

SCRIPT = Path(__file__).with_name("killed_making.py")
KILLED = "-9"
Endings = dict[str, tuple[Path, list[str]]]  # State folder and exit codes of each making.
MOMENTS: dict[str, list[object]] = {
    "prefect": [1, 50, 100, 200, 300, 400, 600, 1_000, 6_500, "rename", "end"],
    "prefect-alone": [3_000, "end"],
    "mlflow": [1, 50, 100, 150, 200, 300, 400, 500, 800, "rename", "end"],
    "mlflow-alone": [737],
}


def command(which: str, state: Path, *moments: object) -> list[str]:
    return [sys.executable, str(SCRIPT), which, str(state), *map(str, moments)]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> Endings:
    """Return for each making its state folder, and how each process ended that was at it: see killed_making.py."""

    def run(which: str) -> tuple[Path, list[str]]:
        state = folder / which
        state.mkdir()
        result = subprocess.run(
            command(which, state, *MOMENTS[which]), env=environment(), capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stderr[-2_000:]
        return state, result.stdout.split()

    folder = tmp_path_factory.mktemp("endings")
    with ThreadPoolExecutor(2) as two_at_a_time:
        return dict(zip(MOMENTS, two_at_a_time.map(run, MOMENTS), strict=True))


def tables(path: Path) -> set[str]:
    """Return the tables of a sound database."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def prefect_head() -> str | None:
    found = importlib.util.find_spec("prefect")
    assert found and found.submodule_search_locations
    migrations = Path(found.submodule_search_locations[0]) / "server" / "database" / "_migrations"
    return ScriptDirectory(str(migrations), version_locations=[str(migrations / "versions/sqlite")]).get_current_head()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(tmp_path, monkeypatch)
    return tmp_path


def use(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_TEXT_STATE", str(state))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{state / 'mlflow.db'}")


def experiments(state: Path) -> list[str]:
    return [found.name for found in MlflowClient(f"sqlite:///{state / 'mlflow.db'}").search_experiments()]


def test_the_tracking_database_is_made_after_ten_kills(endings: Endings) -> None:
    state, ended = endings["mlflow"]
    assert ended == [KILLED] * 10 + ["0"]
    assert files(state) == {"mlflow.db", ".mlflow.db.making.lock"}
    assert "logged_models" in tables(state / "mlflow.db")
    assert experiments(state) == ["Default"]  # MLflow checks the revision as it opens it.


def test_prefects_database_is_made_after_ten_kills(endings: Endings) -> None:
    state, ended = endings["prefect"]
    assert ended == [KILLED] * 10 + ["0"]
    database = state / "prefect" / "prefect.db"
    assert files(database.parent) == {"prefect.db", ".prefect.db.making.lock"}
    assert {"flow", "flow_run", "task_run", "block_type", "automation"} <= tables(database)
    assert revision(database) == prefect_head()


def test_a_tracking_database_that_an_older_version_left_half_made_is_made_anew(
    endings: Endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, ended = endings["mlflow-alone"]
    assert ended == [KILLED]
    assert "_alembic_tmp_experiments" in tables(state / "mlflow.db")  # Which MLflow fails on, whenever it is opened.
    use(state, monkeypatch)
    prepare_tracking_database()
    assert experiments(state) == ["Default"]


def test_a_database_of_prefect_that_an_older_version_left_half_made_is_finished(endings: Endings) -> None:
    """Each of Prefect's migrations is one transaction: its server continues after the last one."""
    state, ended = endings["prefect-alone"]
    assert ended == [KILLED, "0"]
    assert revision(state / "prefect" / "prefect.db") == prefect_head()


def test_a_log_of_a_killed_process_is_not_played_into_the_new_database(state: Path) -> None:
    for left in ("mlflow.db-journal", "mlflow.db-wal", ".mlflow.db.making", ".mlflow.db.making-journal"):
        (state / left).write_bytes(b"left by a crash" * 100)
    prepare_tracking_database()
    assert files(state) == {"mlflow.db", ".mlflow.db.making.lock"} and experiments(state) == ["Default"]


def test_a_database_with_runs_stays_whatever_its_revision(state: Path) -> None:
    prepare_tracking_database()
    client = MlflowClient(f"sqlite:///{state / 'mlflow.db'}")
    run = client.create_run("0").info.run_id
    with closing(sqlite3.connect(state / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '6953534de441'")
        database.execute("DELETE FROM experiments")
    before = (state / "mlflow.db").read_bytes()
    prepare_tracking_database()
    assert (state / "mlflow.db").read_bytes() == before
    assert client.get_run(run).info.run_id == run


def test_a_file_that_is_no_database_is_reported_and_stays(state: Path) -> None:
    (state / "mlflow.db").write_text("notes, not runs\n" * 100)
    with pytest.raises(ModelError, match=r"mlflow\.db cannot be opened: file is not a database"):
        prepare_tracking_database()
    assert (state / "mlflow.db").read_text().startswith("notes")


def test_two_commands_that_begin_at_once_make_one_database(tmp_path: Path) -> None:
    both = [subprocess.Popen(command("mlflow", tmp_path, "end"), env=environment()) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert experiments(tmp_path) == ["Default"]


def test_a_database_whose_making_fails_does_not_appear(tmp_path: Path) -> None:
    def fail(beside: Path) -> None:
        beside.write_bytes(b"half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        make_whole(tmp_path / "some.db", fail)
    assert "some.db" not in files(tmp_path)


def test_a_database_that_is_still_open_does_not_take_its_name(tmp_path: Path) -> None:
    opened = []

    def leave_open(beside: Path) -> None:
        opened.append(sqlite3.connect(beside))
        opened[0].execute("PRAGMA journal_mode = WAL")
        opened[0].execute("CREATE TABLE kept (x)")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        make_whole(tmp_path / "some.db", leave_open)
    opened[0].close()
    assert "some.db" not in files(tmp_path)


@pytest.mark.parametrize("uri", ["postgresql://127.0.0.1/mlflow", "http://127.0.0.1:5000", "sqlite:////elsewhere/a.db"])
def test_only_the_embedded_database_is_made(uri: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert embedded_database() is None
    prepare_tracking_database()
    assert files(state) == set() and mlflow.get_tracking_uri() == uri


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "SELECT n FROM t"])
@pytest.mark.parametrize("closed", [False, True])
def test_an_interrupted_query_leaves_no_lock(statement: str, closed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.executescript("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2)")
        left = sqlite3.connect(path, isolation_level=None)

        def query() -> None:
            opened = [left.execute(statement), left.execute("SELECT n FROM t")]
            if closed:
                opened[0].connection.close()
            raise KeyboardInterrupt

        try:
            query()
        except KeyboardInterrupt as interrupted:
            try:
                raise ValueError("what a cleanup raised") from interrupted
            except ValueError as error:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN EXCLUSIVE")
                release_locks(error)
                other.execute("BEGIN EXCLUSIVE")
    left.close()
