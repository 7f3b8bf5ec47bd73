"""Variables and files of a user's environment: those that would change a tool are set, the rest is named at once.

tests/flows/test_environment.py has the trainings and the proxies.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flows.cli import COMMANDS, main
from flows.failures import known_failure
from lstm_model.errors import UsageError
from tasks.runtime.state.local_state import PROJECT, UNWANTED, use_local_state

SET = {  # variables and what they are afterwards; {state} is the state folder
    "": {"KERAS_HOME": "{state}/keras", "KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull},
    "KERAS_HOME=/mine KERAS_BACKEND=jax": {"KERAS_HOME": "{state}/keras", "KERAS_BACKEND": "tensorflow"},
    "MATPLOTLIBRC=/mine MPLBACKEND=tkagg": {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg"},
    "PREFECT_LOGGING_LEVEL=ERROR": {"PREFECT_LOGGING_LEVEL": "INFO"},
    "PREFECT_LOGGING_LEVEL=DEBUG": {"PREFECT_LOGGING_LEVEL": "DEBUG"},
    "MLFLOW_ENABLE_ASYNC_LOGGING=true": {"MLFLOW_ENABLE_ASYNC_LOGGING": "false"},
    "MLFLOW_TRACKING_URI= PREFECT_HOME=": {
        "MLFLOW_TRACKING_URI": "sqlite:///{state}/mlflow.db",
        "PREFECT_HOME": "{state}/prefect",
    },
    "MLFLOW_TRACKING_URI=http://team PREFECT_HOME=/mine": {
        "MLFLOW_TRACKING_URI": "http://team",
        "PREFECT_HOME": "/mine",
    },
    " ".join(f"{name}=1" for name in UNWANTED): dict.fromkeys(UNWANTED),
}
REFUSED = {  # variables -> words; {here} is a folder that exists, with a file `file`
    "LSTM_TEXT_STATE=/proc/state": "Cannot write run state to /proc/state: No such file or directory",
    "LSTM_TEXT_STATE={here}/file": "Cannot write run state to {here}/file: File exists",
    "LSTM_TEXT_STATE={here}/file/a": "{here}/file/a: Not a directory. Fix its permissions, or set LSTM_TEXT_STATE",
    "LSTM_TEXT_STATE={here}/what?": "has '?' in its path",
    "LSTM_TEXT_STATE={here}/a\tb": r"has '\t' in its path",
    "LSTM_TEXT_STATE={here}/\udcff": r"has '\udcff' in its path",
    "SSL_CERT_FILE=/nowhere.pem": "SSL_CERT_FILE is '/nowhere.pem', which does not exist. Correct or unset",
    "MLFLOW_TRACKING_URI=https://a REQUESTS_CA_BUNDLE=/nowhere.pem": "REQUESTS_CA_BUNDLE is '/nowhere.pem'",
    "MLFLOW_TRACKING_URI=https://a CURL_CA_BUNDLE=/nowhere.pem": "CURL_CA_BUNDLE is '/nowhere.pem'",
    "MLFLOW_TRACKING_URI=https://a MLFLOW_TRACKING_SERVER_CERT_PATH=/nowhere.pem": "CERT_PATH is '/nowhere.pem'",
}
TOLERATED = ("/a b", "/Käuzchen 枭", "/a#b", "/a%20b%c", '/it\'s;&[x],"y":z', "/全角　空白")
DATA = PROJECT / "data" / "headlines.csv"
ARGUMENTS = {
    "predict": ["a text"], "promote": ["1", "--reason", "why"], "rollback": ["--reason", "why"], "compare": ["a"],
    "score": [str(DATA), "--output", "b.csv"], "drift": [str(DATA)], "reproduce": ["a"],
    "clean": ["--older-than", "1d"],
}  # fmt: skip


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The environment, with a state folder of its own, as it is after the test."""
    (tmp_path / "file").touch()
    before = dict(os.environ)
    monkeypatch.setenv("LSTM_TEXT_STATE", str(tmp_path / "state"))
    yield monkeypatch
    monkeypatch.undo()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def set_variables(patch: pytest.MonkeyPatch, text: str) -> None:
    for name, _, value in (one.partition("=") for one in text.split(" ") if one):
        patch.setenv(name, value)


@pytest.mark.parametrize("variables", SET)
def test_what_a_tool_needs_is_set_whatever_the_environment_holds(
    variables: str, given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_HOME"):
        given.delenv(name, raising=False)
    set_variables(given, variables)
    use_local_state()
    for name, value in SET[variables].items():
        assert os.environ.get(name) == (value and value.format(state=tmp_path / "state")), name


@pytest.mark.parametrize("variables", REFUSED)
def test_what_cannot_be_used_is_named_before_anything_starts(
    variables: str, given: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_variables(given, variables.format(here=tmp_path))
    assert main(["history"]) == 2
    error = capsys.readouterr().err
    assert REFUSED[variables].format(here=tmp_path) in error and error.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reports_a_state_folder_that_it_cannot_write_to(
    command: str, given: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given.setenv("LSTM_TEXT_STATE", "/proc/state")
    assert main([command, *ARGUMENTS.get(command, [])]) == 2
    assert "set LSTM_TEXT_STATE to a folder that you can write to." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["stages", "mlflow.db", "prefect/prefect.db"])
def test_run_state_that_belongs_to_another_user_is_named(
    name: str, given: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state" / name
    path.mkdir(parents=True)
    given.setattr(os, "access", lambda asked, _: Path(asked) != path)  # Root may write everywhere.
    assert main(["history"]) == 2
    assert f"Cannot write run state to {path}: Permission denied." in capsys.readouterr().err


@pytest.mark.parametrize("name", TOLERATED)
def test_a_state_folder_may_have_most_characters_in_its_path(
    name: str, given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That MLflow and Prefect use them is seen by creating the databases there; test_databases.py has their making."""
    import sqlite3

    from sqlalchemy import create_engine

    from tasks.runtime.state.sqlite_files import transaction
    from tasks.runtime.state.tracking_database import embedded_database

    given.delenv("MLFLOW_TRACKING_URI", raising=False)
    given.setenv("LSTM_TEXT_STATE", f"{tmp_path}{name}")
    use_local_state()
    with create_engine(os.environ["MLFLOW_TRACKING_URI"]).begin() as database:
        database.exec_driver_sql("CREATE TABLE made (a INTEGER)")
    path = Path(f"{tmp_path}{name}", "mlflow.db")
    assert embedded_database() == path
    with transaction(path, write=True) as database:
        database.execute("INSERT INTO made VALUES (7)")
    assert sqlite3.connect(path).execute("SELECT a FROM made").fetchall() == [(7,)]


def test_no_folder_for_temporary_files_names_the_variable(
    given: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given.setattr(tempfile, "tempdir", None)
    given.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    assert main(["history"]) == 2
    assert "No folder for temporary files" in (error := capsys.readouterr().err) and "Set TMPDIR" in error


def test_python_without_texts_is_refused() -> None:
    command = [str(Path(sys.executable).parent / "lstm-text"), "--help"]
    found = subprocess.run(command, env={**os.environ, "PYTHONOPTIMIZE": "2"}, capture_output=True, check=False)
    assert found.returncode == 2 and found.stderr.endswith(b"Unset PYTHONOPTIMIZE.\n")


@pytest.mark.parametrize(
    ("variables", "files", "words"),
    [
        ("PREFECT_LOGGING_LEVEL=LOUD", {}, "(given: 'LOUD'). Correct PREFECT_LOGGING_LEVEL."),
        ("PREFECT_API_REQUEST_TIMEOUT=soon", {}, "Correct PREFECT_API_REQUEST_TIMEOUT."),
        ("", {"prefect.toml": "[api"}, "Failed to load Prefect settings from prefect.toml: invalid TOML"),
        ("", {".env": "PREFECT_API_REQUEST_TIMEOUT=soon"}, "Correct it in .env, prefect.toml, pyproject.toml or"),
    ],
)
def test_a_setting_that_prefect_refuses_is_named(
    variables: str, files: dict[str, str], words: str, given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from prefect.settings.models.root import Settings

    set_variables(given, variables)
    given.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(Exception) as caught:
        Settings()
    failure = known_failure(caught.value)
    assert isinstance(failure, UsageError) and words in str(failure)
