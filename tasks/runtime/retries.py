"""Retries of errors that may pass: a full disk, a locked or restarted tracking database."""

import errno
import re
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from prefect.logging import get_logger
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential

from tasks.runtime.state.credentials import without_password

RETRY_FOR_SECONDS = 90.0  # A database server restarts in less.
BRIEF_SECONDS = 2.0  # To record that something else failed.
PASSING_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT}
# MLflow's text for an answer that is not JSON: a server that refuses the login (401, 403) or has no such page (404).
REFUSED = re.compile(r"API request to endpoint \S+ failed with error code 4(?!08|29)\d\d ")
PASSING_CODES = {"TEMPORARILY_UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed a little later."""
    if isinstance(error, MlflowException):
        # MLflow's code INTERNAL_ERROR also stands for an HTTP request without an answer, which shows in the text, and
        # for an error of its database while it creates a version, which is the cause.
        text = str(error.message)
        if error.error_code in PASSING_CODES or (text.startswith("API request to") and not REFUSED.match(text)):
            return True
        return error.__cause__ is not None and may_pass(error.__cause__)
    if isinstance(error, ConnectionError | TimeoutError | sqlite3.OperationalError):
        return True
    if isinstance(error, OSError):
        return error.errno in PASSING_ERRNOS or disk_is_full(error) or type(error).__module__.startswith("requests")
    return type(error).__name__ == "OperationalError" or type(error).__module__.startswith(("httpx", "httpcore"))


def disk_is_full(error: BaseException) -> bool:
    """Return whether the disk was full; HDF5, Arrow and SQLite say so only in the text."""
    text, full = str(error), (errno.ENOSPC, errno.EDQUOT)
    if "database or disk is full" in text:
        return True
    in_text = any(f"rrno {number}" in text or f"errno = {number}" in text for number in full)
    return isinstance(error, OSError) and (error.errno in full or in_text)


def text_of(error: BaseException) -> str:
    """Return an error's text in one line, without passwords and without a database's SQL statement."""
    return without_password(" ".join(str(error).split()).partition(" [SQL: ")[0])


def with_retries(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return call(*args, **kwargs), retried with growing waits for RETRY_FOR_SECONDS; then raise its last error."""
    return _retry(RETRY_FOR_SECONDS, call, *args, **kwargs)


def _retry(seconds: float, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        wait=wait_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(seconds),
        before_sleep=_log_retry,
        reraise=True,
    )
    try:
        return retrying(call, *args, **kwargs)
    except Exception as error:
        error.was_retried = True  # type: ignore[attr-defined]  # The task around it does not retry as long again.
        raise


class _RetryingClient:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return partial(_retry, self.seconds, getattr(MlflowClient(), name))


def mlflow_client(*, brief: bool = False) -> MlflowClient:
    """Return an MLflow client that retries each request for RETRY_FOR_SECONDS, or briefly, while its error may pass."""
    return cast(MlflowClient, _RetryingClient(BRIEF_SECONDS if brief else RETRY_FOR_SECONDS))


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception()
    get_logger("lstm_text").warning(
        "Attempt %d failed, retrying in %.1f s: %s: %s",
        state.attempt_number, state.next_action.sleep, type(error).__name__, text_of(error)[:200],
    )  # fmt: skip
