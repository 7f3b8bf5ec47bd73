"""Locks that all who share runs share: one decision about a model at a time, one process per training.

Where runs are kept in an SQLite file the lock is a file beside it, freed when its process ends. Everywhere else it is
a global concurrency limit of the Prefect server that PREFECT_API_URL names; Prefect frees it when its lease of
LEASE_SECONDS has run out, a minute or two after the process that held it was killed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy
from filelock import FileLock, Timeout
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL

from lstm_model.errors import ModelError, UsageError
from tasks.runtime.artifacts import run_logger
from tasks.runtime.prefect_server import is_own_server

LEASE_SECONDS = 60.0  # The shortest that Prefect takes; renewed while the process lives.
EXPIRY_SECONDS = 2.5 * LEASE_SECONDS  # How long a killed process may keep a limit.


@dataclass(frozen=True)
class Lock:
    """name: for messages, with the command that frees it by hand if there is one. expiry: of a killed holder's, s."""

    name: str
    take: Callable[[ExitStack], Callable[[], None] | None]
    """Take the lock until the stack closes and return a check that it is still held; None where another has it."""
    expiry: float = 0.0


def shared_lock(uri: str, name: str, *, one_off: bool = False) -> Lock:
    """Return the lock of that name for all whose runs are at the tracking or registry address.

    one_off: few will ask for this name again, so the Prefect server is not left with it. Raises UsageError where it
    needs a Prefect server and none is named.
    """
    if uri.startswith("sqlite"):
        database = Path(sqlalchemy.make_url(uri).database or "mlflow.db").resolve()
        return _file(Path(f"{database}.locks", f"{name}.lock"))
    if not PREFECT_API_URL.value() or is_own_server():
        raise UsageError(
            expected="PREFECT_API_URL to name a Prefect server: it holds the locks of all who share runs",
            found="none",
            remedy="Start one with `prefect server start`, and set PREFECT_API_URL=http://HOST:4200/api.",
        )
    return _limit(f"lstm-text-{name}", one_off=one_off)


@contextmanager
def hold(lock: Lock, *, seconds: float, poll_seconds: float, refusal: str) -> Iterator[Callable[[], None]]:
    """Hold a lock, waiting so many seconds for it; yield a check that raises ModelError where it was lost.

    refusal: the error's message where another process has the lock for longer.
    """
    deadline, logged = time.monotonic() + seconds, False
    with ExitStack() as held:
        while (check := lock.take(held)) is None:
            if time.monotonic() >= deadline:
                raise ModelError(expected=refusal, found=lock.name, remedy="Wait for it, or end it.")
            if not logged:
                run_logger().info("Waiting up to %.0f s for another process, which holds %s.", seconds, lock.name)
                logged = True
            time.sleep(poll_seconds)
        yield check


def _file(path: Path) -> Lock:
    path.parent.mkdir(parents=True, exist_ok=True)

    def take(held: ExitStack) -> Callable[[], None] | None:
        try:
            held.enter_context(FileLock(path).acquire(timeout=0))
        except Timeout:
            return None
        return lambda: None  # A file lock cannot be lost.

    return Lock(f"the file {path}", take)


def _limit(name: str, *, one_off: bool) -> Lock:
    free = f"`prefect global-concurrency-limit update {name} --active-slots 0` frees it"

    def take(held: ExitStack) -> Callable[[], None] | None:
        client = held.enter_context(get_client(sync_client=True))
        with suppress(ObjectAlreadyExists):
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
        try:
            answer = client.increment_concurrency_slots_with_lease([name], 1, "concurrency", LEASE_SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.LOCKED:
                return None
            raise
        lease_id = answer.json()["lease_id"]

        def check() -> None:
            try:
                client.renew_concurrency_lease(lease_id, LEASE_SECONDS)
            except (httpx.HTTPStatusError, ObjectNotFound) as error:
                raise ModelError(
                    expected=f"to hold the Prefect concurrency limit {name}",
                    found=f"that its lease is gone ({error})",
                    remedy="Nothing was changed: run the command again.",
                ) from None

        if one_off:
            held.callback(_delete_limit, name)
        held.callback(client.release_concurrency_slots_with_lease, lease_id)
        held.callback(_renew(lease_id))
        return check

    return Lock(f"the Prefect concurrency limit {name} (if its process is gone, {free})", take, expiry=EXPIRY_SECONDS)


def _renew(lease_id: Any) -> Callable[[], None]:
    """Renew a lease in a thread until the returned function is called."""
    stop = threading.Event()

    def renew() -> None:
        with get_client(sync_client=True) as client:
            while not stop.wait(LEASE_SECONDS / 3):
                with suppress(Exception):  # Tried again; `check` tells where it is gone for good.
                    client.renew_concurrency_lease(lease_id, LEASE_SECONDS)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    return stop.set


def _delete_limit(name: str) -> None:
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        if not client.read_global_concurrency_limit_by_name(name).active_slots:
            client.delete_global_concurrency_limit_by_name(name)
