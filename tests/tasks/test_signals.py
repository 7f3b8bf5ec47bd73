"""A signal whose exception was dropped stops the work a moment later, by the handler that is in force."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import httpx
import pytest

from flows.failures import known_failure
from lstm_model.errors import ModelError
from tasks.runs.flow_run import interruption_in
from tasks.runtime import prefect_server
from tasks.runtime.child_processes import exit_code, interruptible, until_interrupted
from tasks.runtime.interrupts import HungUp, noticed_signals, stop_if_signalled
from tasks.runtime.terminal import leave_closed_terminal


class Stopped(BaseException):
    """What the handler of these tests raises."""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def lose(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """A call that sends a signal and drops what its handler raises, as Python does with a destructor's."""

    def handler(number: int, frame: object) -> None:
        raise Stopped

    def send() -> None:
        with suppress(Stopped):
            signal.raise_signal(request.param)

    previous = signal.signal(request.param, handler)
    yield send
    signal.signal(request.param, previous)


def test_a_lost_signal_stops_the_work_once(lose: Callable[[], None]) -> None:
    with noticed_signals():
        stop_if_signalled()
        lose()
        with pytest.raises(Stopped):
            stop_if_signalled()
        stop_if_signalled()


def test_an_error_after_a_lost_signal_is_an_interruption(lose: Callable[[], None]) -> None:
    with noticed_signals():
        assert interruption_in(ValueError()) is None
        lose()
        assert isinstance(interruption_in(ValueError()), Stopped)


def test_a_block_inside_another_notices_too(lose: Callable[[], None]) -> None:
    with noticed_signals():
        lose()
        with noticed_signals(), pytest.raises(Stopped):
            stop_if_signalled()


def test_outside_the_block_and_in_other_threads_nothing_happens(lose: Callable[[], None]) -> None:
    lose()
    with noticed_signals():
        stop_if_signalled()
        lose()
        ended = []
        thread = Thread(target=lambda: ended.append(stop_if_signalled()))
        thread.start()
        thread.join()
        assert ended == [None]
    stop_if_signalled()


def test_a_handler_that_was_there_is_told_again_afterwards(lose: Callable[[], None]) -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with noticed_signals():
        pass
    after = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(after)
    assert after == before


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """SIGHUP as a terminal's command has it, also where these tests run under nohup."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 129)])
def test_what_serves_ends_with_the_signals_exit_code(number: int, code: int, hangs_up: None) -> None:
    def serve() -> int:
        signal.raise_signal(number)
        return 0

    assert until_interrupted(serve)() == code
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_second_hangup_does_not_stop_the_cleaning_up(hangs_up: None) -> None:
    cleaned = False
    with pytest.raises(HungUp), interruptible(), noticed_signals():
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)
            cleaned = True
    assert cleaned


def test_a_hangup_that_was_dropped_stops_the_work_later(hangs_up: None) -> None:
    with noticed_signals():
        with suppress(HungUp):
            signal.raise_signal(signal.SIGHUP)
        with pytest.raises(HungUp):
            stop_if_signalled()


def test_under_nohup_a_hangup_stays_ignored(hangs_up: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible(), noticed_signals():
        signal.raise_signal(signal.SIGHUP)
        stop_if_signalled()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended with signal SIGKILL, as the system does where memory runs out"),
        ("import os; os.abort()", "ended with signal SIGABRT. Start it again, with more memory"),
    ],
)
def test_a_child_that_is_killed_is_named_with_the_likely_reason(command: str, words: str) -> None:
    with pytest.raises(ModelError) as failed:
        exit_code(subprocess.Popen([sys.executable, "-S", "-c", command]), "The server of news version 2")
    assert words in str(failed.value)
    assert exit_code(subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(3)"]), "It") == 3


def test_a_server_of_ours_that_was_killed_is_the_reason_for_what_fails_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = "http://127.0.0.1:9/api"
    with subprocess.Popen([sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)"]) as killed:
        killed.wait()
    monkeypatch.setenv("PREFECT_API_URL", address)
    assert isinstance(known_failure(httpx.ConnectError("refused")), ModelError)
    monkeypatch.setitem(prefect_server._own, address, killed)
    known = known_failure(httpx.ConnectError("refused"))
    assert known is not None and "Prefect's server, which this command started, ended with signal SIGKILL" in str(known)


def test_after_the_terminal_is_closed_writing_to_it_is_no_error() -> None:
    ours, terminal = os.openpty()
    copy = os.dup(terminal)
    os.close(ours)
    with pytest.raises(OSError, match="Input/output error"):
        os.write(terminal, b"x")
    leave_closed_terminal()
    for number in (terminal, copy):
        assert os.write(number, b"x") == 1
        os.close(number)
