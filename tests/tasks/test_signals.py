"""A signal whose exception was dropped stops the work a moment later, by the handler that was in force."""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import pytest
from prefect.utilities.engine import can_ack_control_intent, capture_sigterm

from tasks.runs.flow_run import interruption_in
from tasks.runtime.interrupts import noticed_signals, stop_if_signalled


class Stopped(BaseException):
    """What the handler of these tests raises."""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
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


def test_the_handlers_are_restored_afterwards(lose: Callable[[], None]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with noticed_signals():
        lose()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("default", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_default_or_ignoring_handler_is_left_alone(default: signal.Handlers) -> None:
    previous = signal.signal(signal.SIGTERM, default)
    try:
        with noticed_signals():
            assert signal.getsignal(signal.SIGTERM) is default
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_prefect_still_confirms_a_cancel() -> None:
    # It does so only while its own handler is in force; without that a cancelled flow run is recorded as Crashed.
    with capture_sigterm(), noticed_signals():
        assert can_ack_control_intent()
        with capture_sigterm():
            pass
        assert can_ack_control_intent()
