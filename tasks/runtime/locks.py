"""Locks for all processes that share runs: one decision about a model at a time, one process per training.

With runs in an SQLite file the lock is a file next to it, which the system frees when its process ends. With any other
address it is a global concurrency limit of the Prefect server at PREFECT_API_URL. Its lease of LEASE_SECONDS is renewed
while the process lives: one or two minutes after a `kill -9` Prefect frees the limit.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy
from filelock import AcquireReturnProxy, FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL

from lstm_model.errors import ModelError, UsageError
from tasks.runtime.artifacts import ask_once, run_logger
from tasks.runtime.prefect_server import is_own_server
from tasks.runtime.state.local_state import state_root

LEASE_SECONDS = 60.0  # Prefect takes no shorter one.
RENEW_SECONDS = 10.0
EXPIRY_SECONDS = 2.5 * LEASE_SECONDS  # How long a killed process may keep a limit.
Check = Callable[[], None]


@dataclass(frozen=True)
class Lock:
    """A lock that a message can name."""

    name: str
    open: Callable[[ExitStack], Callable[[], Check | None]]
    """Return an attempt: it takes the lock until the stack closes and returns `still_held`, or None if it is taken."""
    remedy: str = "Wait for it or stop it."
    expiry: float = 0.0  # How long a killed process keeps it, in seconds.


def shared_lock(uri: str, name: str, *, one_off: bool = False) -> Lock:
    """Return the lock of that name for all whose runs are at the tracking or registry address.

    one_off: the name is rarely used again, so the Prefect server does not keep it. Raises UsageError where the lock
    needs a Prefect server and none is named.
    """
    if uri.startswith("sqlite"):
        database = Path(sqlalchemy.make_url(uri).database or "mlflow.db").resolve()
        return _file(Path(f"{database}.locks", f"{name}.lock"))
    if not PREFECT_API_URL.value() or is_own_server():
        raise UsageError(
            "PREFECT_API_URL names no Prefect server, which all who share an MLflow server or database need: it keeps "
            "their locks.",
            "Start one with `prefect server start` and set PREFECT_API_URL=http://HOST:4200/api.",
        )
    return _limit(f"lstm-text-{name}", one_off=one_off)


def local_lock(name: str) -> FileLock:
    """Return the lock of that name for the processes on this machine that share the folder of run state."""
    folder = state_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def take_local_lock(name: str, refusal: str, remedy: str) -> AcquireReturnProxy:
    """Take a `local_lock` until a `with` ends or the process is killed; raises UsageError if another process has it."""
    try:
        return local_lock(name).acquire(timeout=0)
    except Timeout:
        raise UsageError(refusal, remedy) from None


@contextmanager
def hold(lock: Lock, *, seconds: float, poll_seconds: float, refusal: str) -> Iterator[Check]:
    """Hold a lock, waiting for it at most so many seconds; yield a check that raises ModelError if it was lost.

    refusal: the first sentence, without its full stop, of the error where another process keeps the lock for longer.
    """
    deadline, logged = time.monotonic() + seconds, False
    with ExitStack() as held:
        attempt = lock.open(held)
        while (still_held := attempt()) is None:
            if time.monotonic() >= deadline:
                raise ModelError(f"{refusal}. It holds {lock.name}.", lock.remedy)
            if not logged:
                run_logger().info("Waiting up to %.0f s for another process, which holds %s.", seconds, lock.name)
                logged = True
            time.sleep(poll_seconds)
        yield still_held


def _file(path: Path) -> Lock:
    path.parent.mkdir(parents=True, exist_ok=True)

    def attempt(held: ExitStack) -> Check | None:
        with suppress(Timeout):
            held.enter_context(FileLock(path).acquire(timeout=0))
            return lambda: None  # A file lock cannot be lost.
        return None

    return Lock(f"the file {path}", lambda held: partial(attempt, held))


def _limit(name: str, *, one_off: bool) -> Lock:
    def open_limit(held: ExitStack) -> Callable[[], Check | None]:
        client = held.enter_context(get_client(sync_client=True))
        return partial(_take_limit, client, name, held, one_off=one_off)

    free = f"`prefect global-concurrency-limit update {name} --active-slots 0`"
    remedy = f"Wait for it or stop it. If it no longer exists, run {free}."
    return Lock(f"the Prefect concurrency limit {name}", open_limit, remedy, EXPIRY_SECONDS)


def _take_limit(client: SyncPrefectClient, name: str, held: ExitStack, *, one_off: bool) -> Check | None:
    with suppress(ObjectAlreadyExists):  # Another process created it at the same moment.
        client.upsert_global_concurrency_limit_by_name(name, limit=1)
    try:
        lease = client.increment_concurrency_slots_with_lease([name], 1, "concurrency", LEASE_SECONDS).json()
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.LOCKED:
            return None
        raise
    if not lease["limits"]:  # Its last holder deleted it in between: this lease is of nothing.
        return None

    def still_held() -> None:
        try:
            client.renew_concurrency_lease(lease["lease_id"], LEASE_SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.GONE:
                raise
            raise ModelError(
                f"This process lost the Prefect concurrency limit {name}: its lease ran out, or the server forgot it.",
                "Run the command again.",
            ) from None

    def release() -> None:
        with suppress(ModelError, ObjectNotFound, httpx.HTTPError):  # What is not released expires.
            if one_off:
                still_held()
                client.delete_global_concurrency_limit_by_name(name)  # Before the release, so nobody else holds it.
            client.release_concurrency_slots_with_lease(lease["lease_id"])

    held.callback(release)
    _renew(client, lease["lease_id"], held)
    return still_held


def _renew(client: SyncPrefectClient, lease_id: Any, held: ExitStack) -> None:
    """Renew a lease in a thread until the stack closes; one that is lost is for `still_held` to report."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(RENEW_SECONDS):
            ask_once(client.renew_concurrency_lease, lease_id, LEASE_SECONDS)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    held.callback(thread.join)  # A renewal that overtakes the release would bring the lease back.
    held.callback(stop.set)
