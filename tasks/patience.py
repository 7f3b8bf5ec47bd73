"""Requests that are made again while the trouble may pass: a full disk, a locked or restarted tracking database."""

import errno
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from prefect.logging import get_logger
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential

from tasks.credentials import without_password

PATIENCE_SECONDS = 90.0  # A database server restarts in less.
BRIEF_SECONDS = 2.0
PASSING_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT}
PASSING_CODES = {"TEMPORARILY_UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed a little later."""
    if isinstance(error, MlflowException):
        # An HTTP request that got no answer is INTERNAL_ERROR to MLflow; its text tells it from others. So is
        # what it makes of its database's error where a version is created; the cause tells that.
        if error.error_code in PASSING_CODES or str(error.message).startswith("API request to"):
            return True
        return error.__cause__ is not None and may_pass(error.__cause__)
    if isinstance(error, ConnectionError | TimeoutError | sqlite3.OperationalError):
        return True
    if isinstance(error, OSError):
        return error.errno in PASSING_ERRNOS or disk_is_full(error) or type(error).__module__.startswith("requests")
    return type(error).__name__ == "OperationalError" or type(error).__module__.startswith(("httpx", "httpcore"))


def disk_is_full(error: BaseException) -> bool:
    """Return whether there was no room to write; HDF5, Arrow and SQLite tell so only in the text."""
    full = (errno.ENOSPC, errno.EDQUOT)
    if "database or disk is full" in str(error):
        return True
    return isinstance(error, OSError) and (
        error.errno in full
        or any(f"rrno {number}" in str(error) or f"errno = {number}" in str(error) for number in full)
    )


def text_of(error: BaseException) -> str:
    """Return what an error says, in one line, without passwords and the SQL statement that a database brings along."""
    return without_password(" ".join(str(error).split()).partition(" [SQL: ")[0])


def patiently(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return call(*args, **kwargs), made again with growing pauses for PATIENCE_SECONDS; then its last error."""
    return _again_for(PATIENCE_SECONDS, call, *args, **kwargs)


def briefly(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return call(*args, **kwargs), made again for BRIEF_SECONDS: for what is told when something else went wrong."""
    return _again_for(BRIEF_SECONDS, call, *args, **kwargs)


def _again_for(seconds: float, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        wait=wait_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(seconds),
        before_sleep=_tell,
        reraise=True,
    )
    try:
        return retrying(call, *args, **kwargs)
    except Exception as error:
        error.waited_for = True  # type: ignore[attr-defined]  # So that a task does not wait as long three times more.
        raise


class _PatientClient:
    """MLflow's client; every request is made patiently."""

    def __getattr__(self, name: str) -> Any:
        return partial(patiently, getattr(MlflowClient(), name))


def client() -> MlflowClient:
    """Return an MLflow client whose requests are made patiently."""
    return cast(MlflowClient, _PatientClient())


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    text = text_of(error)[:200] if error else ""
    get_logger("lstm_text").warning(
        "try %d failed, the next follows in %.1f s: %s: %s", state.attempt_number, wait, type(error).__name__, text
    )
