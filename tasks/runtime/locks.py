"""A lock that all who share a tracking server or registry share: one decision at a time, one holder of a resume key.

Where the lock is depends on where the runs are:

    an SQLite file           a lock file in a folder beside it
    PostgreSQL, MySQL        an advisory lock of a session with that database; it is freed when the process dies
    a tracking server        a global concurrency limit on the Prefect server, where PREFECT_API_URL names one: it is
                             freed a minute or two after the process died. Otherwise a lock file on this machine
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy
from filelock import FileLock, Timeout
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL

from lstm_model.digests import digest_text
from lstm_model.errors import ModelError
from tasks.runtime.artifacts import run_logger
from tasks.runtime.prefect_server import is_own_server
from tasks.runtime.state.local_state import state_root

LEASE_SECONDS = 60  # The shortest that Prefect takes; it is renewed while the process lives.


@dataclass(frozen=True)
class Lock:
    """what: the lock in words. take: if the lock is free, has it until the stack closes; says whether it did."""

    what: str
    take: Callable[[ExitStack], bool]
    remedy: str = ""
    """What frees the lock if nobody has it."""
    held_after_death: float = 0.0
    """How long (seconds) it may stay taken when the process that has it is killed."""


def shared_lock(uri: str, name: str, *, guards: str, one_off: bool = False) -> Lock:
    """Return the lock of that name, shared by all whose runs are at the tracking or registry address.

    guards: what it keeps apart, as the plural that begins a sentence. one_off: few will ask for this name again, so
    that the Prefect server does not keep it.
    """
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        database = sqlalchemy.make_url(uri).database
        if database and database != ":memory:":
            return _file(Path(f"{Path(database).resolve()}.locks", f"{name}.lock"))
    if scheme == "postgresql":
        return _session(uri, "postgresql", name)
    if scheme == "mysql":
        return _session(uri, "mysql", name)
    if PREFECT_API_URL.value() and not is_own_server():
        return _limit(name, one_off=one_off)
    if scheme != "sqlite":
        run_logger().warning(
            "%s are kept apart on this machine only: set PREFECT_API_URL to a Prefect server that all machines use, or "
            "another machine may be at work at the same time.",
            guards,
        )
    return _file(state_root() / "locks" / f"{digest_text(uri)[:16]}.{name}.lock")


@contextmanager
def hold(lock: Lock, *, seconds: float, poll_seconds: float, waiting: str, refusal: ModelError) -> Iterator[None]:
    """Hold a lock: wait for it so many seconds, which is told once, look every poll_seconds, then raise the refusal."""
    deadline, told = time.monotonic() + seconds, False
    with ExitStack() as held:
        while not lock.take(held):
            if time.monotonic() >= deadline:
                raise refusal
            if not told:
                run_logger().info("%s", waiting)
                told = True
            time.sleep(poll_seconds)
        yield


def _file(path: Path) -> Lock:
    path.parent.mkdir(parents=True, exist_ok=True)

    def take(held: ExitStack) -> bool:
        try:
            held.enter_context(FileLock(path).acquire(timeout=0))
        except Timeout:
            return False
        return True

    return Lock(f"the file {path}", take)


def _session(uri: str, kind: str, lock_name: str) -> Lock:
    """An advisory lock belongs to a connection: it is kept open, outside a transaction, until the stack closes."""
    name = f"lstm-text-{lock_name}"
    if kind == "postgresql":
        query, key = "SELECT pg_try_advisory_lock(:key)", int(digest_text(name)[:15], 16)
    else:
        query, key = "SELECT GET_LOCK(:key, 0)", name
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT")

    def take(held: ExitStack) -> bool:
        with ExitStack() as opened:
            connection = opened.enter_context(engine.connect())
            if not connection.execute(sqlalchemy.text(query), {"key": key}).scalar():
                return False
            held.push(opened.pop_all())
            return True

    return Lock(f"the advisory lock {key} of the database", take)


def _limit(lock_name: str, *, one_off: bool) -> Lock:
    name = f"lstm-text-{lock_name}"
    logging.getLogger("prefect._internal.concurrency").addFilter(_is_no_refusal)

    def take(held: ExitStack) -> bool:
        _create_limit(name)
        with get_client(sync_client=True) as client:  # Asking for a slot that is taken would log an error each time.
            if client.read_global_concurrency_limit_by_name(name).active_slots:
                return False
        if one_off:
            held.callback(_delete_limit, name)  # After it is released.
        # strict: a limit that is gone is an error, not a lock that anyone may have.
        try:
            held.enter_context(
                concurrency(
                    name, max_retries=0, lease_duration=LEASE_SECONDS, strict=True, raise_on_lease_renewal_failure=False
                )
            )
        except ConcurrencySlotAcquisitionError as error:
            cause = error.__cause__
            if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code == httpx.codes.LOCKED:
                return False
            raise
        return True

    return Lock(
        f"the Prefect concurrency limit {name}",
        take,
        # Prefect keeps leases in memory: one that a restart of its server forgets is never freed.
        f"If there is none, `prefect global-concurrency-limit update {name} --active-slots 0` frees it.",
        held_after_death=2.5 * LEASE_SECONDS,
    )


def _delete_limit(name: str) -> None:
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        if not client.read_global_concurrency_limit_by_name(name).active_slots:
            client.delete_global_concurrency_limit_by_name(name)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Drop what Prefect logs, as an error, each time that the limit is taken: several lines a second of waiting."""
    return "ConcurrencySlotAcquisition" not in record.getMessage()


def _create_limit(name: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            try:
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
            except ObjectAlreadyExists:  # Another process created it in between.
                return
