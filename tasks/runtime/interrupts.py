"""Signals that stop a command: a closed terminal, and Ctrl-C and cancels that Python dropped.

Long work checks for a signal that arrived and stopped nothing. Python prints and ignores an exception raised in
`__del__` or a weakref callback (its data model, `object.__del__`). TensorFlow runs many of both, so a signal sent to a
training sometimes had no effect.

The signals are read from `signal.set_wakeup_fd`. Handlers that set a flag would be shorter, but Prefect confirms a
cancel only while SIGTERM's handler is a private function of its own; otherwise the flow run is recorded as Crashed.
"""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.runtime.terminal import leave_closed_terminal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_inbox: socket.socket | None = None
_hung_up = False


class HungUp(KeyboardInterrupt):
    """SIGHUP: the terminal or the connection that the command was started from is closed."""


def exit_code_of(stopped: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was interrupted, as shells count it."""
    return 128 + (signal.SIGHUP if isinstance(stopped, HungUp) else signal.SIGINT)


@contextmanager
def hangup_interrupts() -> Iterator[None]:
    """Make SIGHUP a KeyboardInterrupt, unless it is ignored (`nohup`) or handled already; for the main thread."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        yield
        return
    global _hung_up
    _hung_up = False
    signal.signal(signal.SIGHUP, _hang_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _hang_up(number: int, frame: FrameType | None) -> None:
    """Raise HungUp once: the shell of a closed terminal sends a second signal, which must not stop the cleaning up.

    frame: None where `stop_if_signalled` calls this, because what the first one raised was dropped.
    """
    global _hung_up
    repeated, _hung_up = _hung_up and frame is not None, True
    if not repeated:
        leave_closed_terminal()
        raise HungUp


@contextmanager
def noticed_signals() -> Iterator[None]:
    """Record each signal for `stop_if_signalled`; only in the main thread, and once where blocks nest.

    SIGHUP interrupts meanwhile, also where a Prefect worker started the process.
    """
    global _inbox
    if _inbox is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    inbox, outbox = socket.socketpair()
    for end in (inbox, outbox):
        end.setblocking(False)
    _inbox = inbox
    previous = signal.set_wakeup_fd(outbox.fileno(), warn_on_full_buffer=False)
    try:
        with hangup_interrupts():
            yield
    finally:
        signal.set_wakeup_fd(previous)
        _inbox = None
        inbox.close()
        outbox.close()


def stop_if_signalled() -> None:
    """Call the handler of a signal that arrived and stopped nothing; long work calls this now and then."""
    if _inbox is None or threading.current_thread() is not threading.main_thread():
        return
    try:
        arrived = _inbox.recv(4096)
    except BlockingIOError:
        return
    for number in STOPPING:
        handler = signal.getsignal(number)
        if number in arrived and callable(handler):
            handler(number, None)


def lost_signal() -> BaseException | None:
    """Return what the handler of a signal that arrived and stopped nothing raises; None where there was no signal."""
    try:
        stop_if_signalled()
    except BaseException as stopped:  # noqa: BLE001  a signal's exception is no Exception
        return stopped
    return None
