"""Only one process at a time is at work on a training of the same data, config and code (its resume key)."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import mlflow

from lstm_model.errors import ModelError
from tasks.publishing import run_logger
from tasks.shared_lock import shared_lock

POLL_SECONDS = 2.0


@contextmanager
def sole_holder(key: str | None) -> Iterator[None]:
    """Hold a resume key, if there is one; raises ModelError while another process does, on any machine.

    A process that is killed lets go: at once, or where the lock is a lease on a server, when that has run out, which is
    waited for.
    """
    if key is None:
        yield
        return
    uri, name = mlflow.get_tracking_uri(), f"training-{key[:16]}"
    lock = shared_lock(uri, name, guards="Trainings of the same data", one_off=True)
    deadline, told = time.monotonic() + lock.held_after_death, False
    with ExitStack() as held:
        while not lock.take(held):
            if time.monotonic() >= deadline:
                raise ModelError(
                    expected="one training at a time of the same data, config and code",
                    found=f"another process at work on it (it holds {lock.what})",
                    remedy=f"Wait for it; its result is this one's too. {lock.remedy}".strip(),
                )
            if not told:
                run_logger().info(
                    "Another process has or had this training (%s); if it was killed, that is over within %.0f s.",
                    lock.what,
                    lock.held_after_death,
                )
                told = True
            time.sleep(POLL_SECONDS)
        yield
