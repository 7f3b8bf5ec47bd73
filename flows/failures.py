"""Errors of servers and disks as errors that name a remedy."""

import errno
import os
from collections.abc import Iterator

from lstm_model.errors import LstmTextError, ModelError, UsageError


def known_failure(error: BaseException) -> LstmTextError | None:
    """Return what a person can do about an error of MLflow, Prefect, the network or the disk; None for a bug."""
    # Imported here: MLflow takes a second that a wrong flag does not need.
    from tasks.patience import PATIENCE_SECONDS, disk_is_full, text_of

    if type(error).__module__.startswith("prefect."):
        error = next((earlier for earlier in _contexts(error) if disk_is_full(earlier)), error)
    text = text_of(error)[:300]
    if disk_is_full(error) or (isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS)):
        return UsageError(
            expected=f"to write {getattr(error, 'filename', None) or 'the output'}",
            found=os.strerror(errno.ENOSPC) if disk_is_full(error) else getattr(error, "strerror", None) or text,
            remedy="Free space, or mend the permissions; LSTM_TEXT_STATE names another folder for run state.",
        )
    if "database is locked" in text:
        return ModelError(
            expected=f"the tracking database to be free within {PATIENCE_SECONDS:.0f} s",
            found=text,
            remedy="End the process that holds it and run the same command again: it goes on. With many writers use "
            "PostgreSQL (docs/team.md).",
        )
    module = type(error).__module__.split(".")[0]
    if module in (
        "mlflow",
        "sqlalchemy",
        "requests",
        "urllib3",
        "httpx",
        "httpcore",
        "prefect",
        "psycopg2",
        "botocore",
    ):
        return ModelError(
            expected="an answer from the tracking server and registry (MLflow) and the orchestrator (Prefect)",
            found=f"{type(error).__name__}: {text}",
            remedy="Check MLFLOW_TRACKING_URI and PREFECT_API_URL and that the servers run.",
        )
    return None


def _contexts(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that were being handled when this one came: what a server then failed to record."""
    while error.__context__ is not None:
        error = error.__context__
        yield error
