"""One decision on a model at a time: the champion cannot change between reading it and moving its alias."""

from contextlib import AbstractContextManager

import mlflow

from lstm_model.digests import digest_text
from tasks.runtime.locks import Check, hold, shared_lock

WAIT_SECONDS = 600.0
POLL_SECONDS = 0.3


def decision_lock(model_name: str) -> AbstractContextManager[Check]:
    """Hold the lock on decisions on a model; the block gets a check that raises ModelError if the lock was lost.

    Raises ModelError if another process holds it for longer than WAIT_SECONDS, and UsageError if it needs a Prefect
    server and none is named.
    """
    lock = shared_lock(mlflow.get_registry_uri(), f"decisions-{digest_text(model_name)[:16]}")
    refusal = f"Another process has been deciding on {model_name} for {WAIT_SECONDS:.0f} s"
    return hold(lock, seconds=WAIT_SECONDS, poll_seconds=POLL_SECONDS, refusal=refusal)
