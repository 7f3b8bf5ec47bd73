"""Only one process at a time is at work on a training of the same data, config and code (its resume key)."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow

from lstm_model.errors import ModelError
from tasks.runtime.locks import hold, shared_lock

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
    refusal = ModelError(
        expected="one training at a time of the same data, config and code",
        found=f"another process at work on it (it holds {lock.what})",
        remedy=f"Wait for it; its result is this one's too. {lock.remedy}".strip(),
    )
    over = f"if it was killed, that is over within {lock.held_after_death:.0f} s"
    waiting = f"Another process has or had this training ({lock.what}); {over}."
    with hold(lock, seconds=lock.held_after_death, poll_seconds=POLL_SECONDS, waiting=waiting, refusal=refusal):
        yield
