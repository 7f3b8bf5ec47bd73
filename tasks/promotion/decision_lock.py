"""One decision about a model at a time: the champion that a decision reads is the champion until it is carried out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mlflow

from lstm_model.digests import digest_text
from tasks.runtime.locks import hold, shared_lock

WAIT_SECONDS = 600.0
POLL_SECONDS = 0.3


@contextmanager
def decision_lock(model_name: str) -> Iterator[Callable[[], None]]:
    """Hold the lock on decisions about a model; yield a check that raises ModelError where the lock was lost.

    Raises ModelError where another process holds it for longer than WAIT_SECONDS, and UsageError where it needs a
    Prefect server and none is named.
    """
    lock = shared_lock(mlflow.get_registry_uri(), f"decisions-{digest_text(model_name)[:16]}")
    refusal = f"Another process has been deciding about {model_name} for {WAIT_SECONDS:.0f} s"
    with hold(lock, seconds=WAIT_SECONDS, poll_seconds=POLL_SECONDS, refusal=refusal) as still_held:
        yield still_held
