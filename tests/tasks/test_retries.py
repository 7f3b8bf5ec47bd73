"""Requests made again while the trouble may pass, and not otherwise."""

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Failed

import tasks.runtime.retries
from flows.failures import known_failure
from lstm_model.errors import ContentError, ModelError, UsageError
from tasks.runtime.retries import disk_is_full, may_pass, with_retries
from tasks.runtime.stage_store import worth_a_retry

LOCKED = MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Flaky:
    """Fails with an error for some calls, then answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "answer"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)


@pytest.mark.parametrize(
    "error",
    [
        LOCKED,
        MlflowException("API request to http://127.0.0.1:1 failed with exception ..."),
        MlflowException("API request to endpoint /api failed with error code 429 != 200. Response body: 'slow down'"),
        caused(MlflowException("Unable to fetch model from model URI"), LOCKED),
        ConnectionRefusedError("refused"),
        requests.exceptions.ConnectTimeout("slow"),
        httpx.ConnectError("no"),
        sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection")),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:40],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    flaky = Flaky(error, times=3)
    assert may_pass(error) and with_retries(flaky) == "answer" and flaky.calls == 4


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("no such param", error_code=INVALID_PARAMETER_VALUE),
        MlflowException("API request to endpoint /api failed with error code 401 != 200. Response body: 'log in'"),
        ContentError("There are no rows.", "Add some."),
        caused(MlflowException("Unable to fetch model from model URI"), KeyError("no such model")),
        PermissionError(errno.EACCES, "denied"),
        FileNotFoundError(errno.ENOENT, "gone"),
        KeyError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_stays_wrong_is_told_at_once(error: Exception) -> None:
    flaky = Flaky(error, times=1)
    with pytest.raises(type(error)):
        with_retries(flaky)
    assert flaky.calls == 1


def test_patience_ends_with_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.runtime.retries, "RETRY_FOR_SECONDS", 0.05)
    with pytest.raises(MlflowException, match="database is locked"):
        with_retries(Flaky(LOCKED, times=1_000_000))


@pytest.mark.parametrize(
    "write", [lambda path: path.write_text("x" * 10_000), lambda path: path.open("wb").write(b"x" * 10_000)]
)
def test_a_disk_that_is_really_full_is_known_and_told(write: Callable[[Path], Any]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.fail("this test needs /dev/full, which Linux has")
    with pytest.raises(OSError) as raised:
        write(full)
    assert disk_is_full(raised.value) and may_pass(raised.value)
    told = known_failure(raised.value)
    assert isinstance(told, UsageError) and "Free space" in str(told)


def test_a_full_disk_is_told_where_prefects_server_could_not_record_it() -> None:
    request = httpx.Request("POST", "http://127.0.0.1:4200/api/flow_runs/1/set_state")
    answer = httpx.HTTPStatusError("500", request=request, response=httpx.Response(500, request=request))
    with pytest.raises(PrefectHTTPStatusError) as raised:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise PrefectHTTPStatusError.from_httpx_error(answer) from answer
    told = known_failure(raised.value)
    assert isinstance(told, UsageError) and "No space left on device. Free space" in str(told)


def test_a_full_database_is_told_as_a_full_disk_whatever_sqlalchemy_adds() -> None:
    told = known_failure(
        MlflowException("(raised as a result of autoflush) (sqlite3.OperationalError) database or disk is full")
    )
    assert isinstance(told, UsageError) and "No space left on device. Free space" in str(told)


def test_what_was_waited_for_is_not_waited_for_again_by_the_task_and_a_retry_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks.runtime.retries, "RETRY_FOR_SECONDS", 0.05)
    with pytest.raises(MlflowException) as raised:
        with_retries(Flaky(LOCKED, times=1_000_000))
    fresh = MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)
    task, task_run = SimpleNamespace(name="load-examples"), SimpleNamespace(run_count=2)
    caplog.clear()
    with caplog.at_level("WARNING"):
        assert not worth_a_retry(task, task_run, Failed(data=raised.value)) and not caplog.messages
        assert worth_a_retry(task, task_run, Failed(data=fresh))
    assert caplog.messages[-1].startswith("load-examples failed, retrying in 10 s: ")


@pytest.mark.parametrize(("status", "named"), [(401, True), (403, True), (404, False)])
def test_a_login_that_is_refused_during_the_work_names_the_variables(status: int, named: bool) -> None:
    request = httpx.Request("GET", "http://127.0.0.1:4200/api")
    response = httpx.Response(status, request=request)
    by_mlflow = MlflowException(
        f"API request to endpoint /api failed with error code {status} != 200. Response body: ''"
    )
    with pytest.raises(httpx.HTTPStatusError) as by_prefect:
        response.raise_for_status()
    for error in (by_mlflow, by_prefect.value):
        assert ("set MLFLOW_TRACKING_USERNAME" in str(known_failure(error))) == named


def test_a_locked_database_is_told_without_its_statement() -> None:
    error = MlflowException(
        "(sqlite3.OperationalError) database is locked\n[SQL: SELECT runs.run_uuid FROM runs]\n(Background ...)",
        error_code=TEMPORARILY_UNAVAILABLE,
    )
    told = known_failure(error)
    assert isinstance(told, ModelError) and "End that process" in str(told)
    assert "database is locked" in str(told) and "SELECT" not in str(told)
