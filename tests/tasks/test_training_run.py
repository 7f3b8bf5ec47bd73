"""What ended a training: someone, or something that went wrong."""

import asyncio
import signal

import pytest
from prefect.exceptions import TerminationSignal

from tasks.runs.training_run import interruption_in


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
