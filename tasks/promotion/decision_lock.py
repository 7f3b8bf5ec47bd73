"""One decision on a model at a time: the champion that a decision reads is the champion until it is carried out."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow

from lstm_model.digests import digest_text
from lstm_model.errors import ModelError
from tasks.runtime.locks import Lock, hold, shared_lock

TIMEOUT_SECONDS = 600.0
POLL_SECONDS = 0.3


@contextmanager
def decision_lock(model_name: str) -> Iterator[None]:
    """Hold the lock on decisions about a model.

    Raises ModelError where another process holds it for longer than TIMEOUT_SECONDS.
    """
    lock = lock_of(model_name)
    remedy = f"Look for a training, promotion or rollback that hangs, end it, and try again. {lock.remedy}"
    refusal = ModelError(
        expected=f"to have the lock on decisions about {model_name} within {TIMEOUT_SECONDS:.0f} s",
        found=f"another process holding {lock.what}",
        remedy=remedy.strip(),
    )
    waiting = f"Waiting for another decision about {model_name} ({lock.what})."
    with hold(lock, seconds=TIMEOUT_SECONDS, poll_seconds=POLL_SECONDS, waiting=waiting, refusal=refusal):
        yield


def lock_of(model_name: str) -> Lock:
    """Return the lock that all who share the registry share."""
    name = f"decisions-{digest_text(model_name)[:16]}"
    return shared_lock(mlflow.get_registry_uri(), name, guards=f"Decisions about {model_name}")
