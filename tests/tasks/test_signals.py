"""A signal whose exception was dropped stops the work a moment later, by the handler that is in force."""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import pytest

from tasks.runs.flow_run import interruption_in
from tasks.runtime.interrupts import noticed_signals, stop_if_signalled


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
