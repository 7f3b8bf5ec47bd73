"""Ctrl-C and cancels that Python dropped: signals are recorded, and long work checks for one that stopped nothing.

Python prints and ignores an exception raised in `__del__` or a weakref callback (its data model, `object.__del__`).
TensorFlow runs many of both, so a signal sent to a training sometimes had no effect.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect.utilities import engine

_handlers: dict[int, Callable[..., Any]] = {}
"""By signal, the handler that was in force before `noticed_signals`."""
_arrived: set[int] = set()


@contextmanager
def noticed_signals() -> Iterator[None]:
    """Record each SIGINT and SIGTERM for `stop_if_signalled`; only in the main thread, and once where blocks nest."""
    if _handlers or threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    _handlers.update({number: handler for number, handler in found.items() if callable(handler)})
    # Prefect confirms a cancel only while SIGTERM's handler is this function of its own; otherwise the run is Crashed.
    prefects = engine._prefect_sigterm_handler
    if _handlers.get(signal.SIGTERM) is prefects:
        engine._prefect_sigterm_handler = _record
    for number in _handlers:
        signal.signal(number, _record)
    try:
        yield
    finally:
        for number, handler in _handlers.items():
            signal.signal(number, handler)
        engine._prefect_sigterm_handler = prefects
        _handlers.clear()
        _arrived.clear()


def stop_if_signalled() -> None:
    """Call the handler of a signal that arrived and stopped nothing; long work calls this now and then."""
    if threading.current_thread() is threading.main_thread():
        arrived = sorted(_arrived)
        _arrived.clear()
        for number in arrived:
            _handlers[number](number, None)


def lost_signal() -> BaseException | None:
    """Return what the handler of a signal that arrived and stopped nothing raises; None where there was no signal."""
    try:
        stop_if_signalled()
    except BaseException as stopped:  # noqa: BLE001  a signal's exception is no Exception
        return stopped
    return None


def _record(number: int, frame: Any) -> None:
    _arrived.add(number)
    _handlers[number](number, frame)
