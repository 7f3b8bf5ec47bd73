"""What ended a training: someone, or something that went wrong."""

import asyncio
import logging
import signal
from types import SimpleNamespace
from typing import Any, cast

import mlflow
import pytest
from prefect.exceptions import TerminationSignal

from tasks.runs import training_run
from tasks.runs.training_run import end_early, interruption_in
from tasks.runtime import retries
from tasks.runtime.tracking import Run


def raised_behind(first: BaseException, then: BaseException) -> BaseException:
    """Return `then` as raised while `first` was handled."""
    then.__context__ = first
    return then


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), TerminationSignal(signal.SIGTERM), asyncio.CancelledError()])
def test_who_stops_a_run_is_no_failure(stopped: BaseException) -> None:
    assert interruption_in(stopped) is stopped


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), TerminationSignal(signal.SIGTERM)])
def test_a_signal_that_cleaning_up_turned_into_an_error_is_found(stopped: BaseException) -> None:
    first = raised_behind(stopped, AssertionError())
    assert interruption_in(first) is stopped
    assert interruption_in(raised_behind(first, ValueError())) is stopped


def test_other_errors_and_requests_that_took_too_long_are_failures() -> None:
    assert interruption_in(raised_behind(KeyError("a"), ValueError())) is None
    assert interruption_in(raised_behind(asyncio.CancelledError(), TimeoutError())) is None


def test_what_ended_a_run_is_not_held_up_where_it_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any) -> None:
        raise ConnectionError("connection refused")

    monkeypatch.setattr(retries, "BRIEF_SECONDS", 0.0)
    monkeypatch.setattr(retries, "MlflowClient", lambda: SimpleNamespace(set_tag=refuse))
    monkeypatch.setattr(training_run, "get_run_logger", lambda: logging.getLogger())
    monkeypatch.setattr(mlflow, "end_run", lambda status: None)
    with pytest.raises(ValueError, match="what ended it"):
        end_early(cast(Run, SimpleNamespace(run_id="1")), ValueError("what ended it"))
    assert caplog.messages == ["MLflow could not record that the run is FAILED: connection refused"]
