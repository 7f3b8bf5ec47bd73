"""One process at a time per training: same data, configuration and code, so the same resume key."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow

from tasks.runtime.locks import hold, shared_lock

POLL_SECONDS = 2.0


@contextmanager
def sole_process(key: str | None) -> Iterator[None]:
    """Hold the lock of a resume key, if there is one; raises ModelError while another process on any machine holds it.

    A killed process frees a file lock at once. Its Prefect limit expires, and this waits for that.
    """
    if key is None:
        yield
        return
    lock = shared_lock(mlflow.get_tracking_uri(), f"training-{key[:16]}", one_off=True)
    refusal = "Another process trains on the same data with the same configuration and code; its result is yours too"
    with hold(lock, seconds=lock.expiry, poll_seconds=POLL_SECONDS, refusal=refusal):
        yield
