"""One decision on a model at a time: the champion that a decision reads is the champion until it is carried out.

Where the lock is depends on where the registry is, since whoever shares the registry must share the lock:

    an SQLite file           a lock file beside it
    PostgreSQL, MySQL        an advisory lock of a session with that database; it is freed when the process dies
    a tracking server        a global concurrency limit on the Prefect server, where PREFECT_API_URL names one: it is
                             freed a minute or two after the process died. Otherwise a lock file on this machine
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import mlflow
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
from tasks.local_state import state_root
from tasks.publishing import run_logger

TIMEOUT_SECONDS = 600.0
POLL_SECONDS = 0.3
LEASE_SECONDS = 60  # The shortest that Prefect takes; it is renewed while the process lives.


@dataclass(frozen=True)
class Lock:
    """what: the lock in words. take: if the lock is free, has it until the stack closes; says whether it did."""

    what: str
    take: Callable[[ExitStack], bool]
    remedy: str = "Look for a training, promotion or rollback that hangs, end it, and try again."


@contextmanager
def decision_lock(model_name: str) -> Iterator[None]:
    """Hold the lock on decisions about a model.

    Raises ModelError where another process holds it for longer than TIMEOUT_SECONDS.
    """
    lock = _lock(model_name)
    started, told = time.monotonic(), False
    with ExitStack() as held:
        while not lock.take(held):
            if time.monotonic() - started > TIMEOUT_SECONDS:
                raise ModelError(
                    expected=f"to have the lock on decisions about {model_name} within {TIMEOUT_SECONDS:.0f} s",
                    found=f"another process holding {lock.what}",
                    remedy=lock.remedy,
                )
            if not told:
                run_logger().info("Waiting for another decision about %s (%s).", model_name, lock.what)
                told = True
            time.sleep(POLL_SECONDS)
        yield


def _lock(model_name: str) -> Lock:
    """Return the lock that all who share the registry share."""
    uri = mlflow.get_registry_uri()
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        database = sqlalchemy.make_url(uri).database
        if database and database != ":memory:":
            return _file(Path(f"{Path(database).resolve()}.{_safe(model_name)}.lock"))
    if scheme == "postgresql":
        return _session(uri, "postgresql", model_name)
    if scheme == "mysql":
        return _session(uri, "mysql", model_name)
    if PREFECT_API_URL.value():
        return _limit(model_name)
    if scheme != "sqlite":
        run_logger().warning(
            "Decisions about %s are kept apart on this machine only: set PREFECT_API_URL to a Prefect server that all "
            "machines use, or another machine may decide at the same time.",
            model_name,
        )
    return _file(state_root() / "locks" / f"{digest_text(uri)[:16]}.{_safe(model_name)}.lock")


def _safe(model_name: str) -> str:
    return f"decisions-{digest_text(model_name)[:16]}"


def _file(path: Path) -> Lock:
    path.parent.mkdir(parents=True, exist_ok=True)

    def take(held: ExitStack) -> bool:
        try:
            held.enter_context(FileLock(path).acquire(timeout=0))
        except Timeout:
            return False
        return True

    return Lock(f"the file {path}", take)


def _session(uri: str, kind: str, model_name: str) -> Lock:
    """An advisory lock belongs to a connection: it is kept open, outside a transaction, until the stack closes."""
    name = f"lstm-text-{_safe(model_name)}"
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


def _limit(model_name: str) -> Lock:
    name = f"lstm-text-{_safe(model_name)}"
    _create_limit(name)
    logging.getLogger("prefect._internal.concurrency").addFilter(_is_no_refusal)

    def take(held: ExitStack) -> bool:
        with get_client(sync_client=True) as client:  # Asking for a slot that is taken would log an error each time.
            if client.read_global_concurrency_limit_by_name(name).active_slots:
                return False
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
        f"{Lock.remedy} If there is none, `prefect global-concurrency-limit update {name} --active-slots 0` frees it.",
    )


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
