"""One decision on a model at a time: the champion that a decision reads is the champion until it is carried out."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import mlflow

from lstm_model.digests import digest_text
from lstm_model.errors import ModelError
from tasks.publishing import run_logger
from tasks.shared_lock import Lock, shared_lock

TIMEOUT_SECONDS = 600.0
POLL_SECONDS = 0.3


@contextmanager
def decision_lock(model_name: str) -> Iterator[None]:
    """Hold the lock on decisions about a model.

    Raises ModelError where another process holds it for longer than TIMEOUT_SECONDS.
    """
    lock = lock_of(model_name)
    started, told = time.monotonic(), False
    with ExitStack() as held:
        while not lock.take(held):
            if time.monotonic() - started > TIMEOUT_SECONDS:
                remedy = f"Look for a training, promotion or rollback that hangs, end it, and try again. {lock.remedy}"
                raise ModelError(
                    expected=f"to have the lock on decisions about {model_name} within {TIMEOUT_SECONDS:.0f} s",
                    found=f"another process holding {lock.what}",
                    remedy=remedy.strip(),
                )
            if not told:
                run_logger().info("Waiting for another decision about %s (%s).", model_name, lock.what)
                told = True
            time.sleep(POLL_SECONDS)
        yield


def lock_of(model_name: str) -> Lock:
    """Return the lock that all who share the registry share."""
    name = f"decisions-{digest_text(model_name)[:16]}"
    return shared_lock(mlflow.get_registry_uri(), name, guards=f"Decisions about {model_name}")
