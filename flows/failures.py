"""Turn errors of servers and disks into errors with a remedy."""

import errno
import os
from collections.abc import Iterator

from lstm_model.errors import LstmTextError, ModelError, UsageError

SERVER_PACKAGES = (
    "mlflow", "sqlalchemy", "requests", "urllib3", "httpx", "httpcore", "prefect", "psycopg2", "botocore"
)  # fmt: skip


def known_failure(error: BaseException) -> LstmTextError | None:
    """Return an error of MLflow, Prefect, the network or the disk with what to do about it; None for a bug."""
    # Imported here: MLflow takes a second, which a wrong flag does not need.
    from tasks.runtime.prefect_server import lost_server
    from tasks.runtime.retries import RETRY_FOR_SECONDS, disk_is_full, text_of

    if type(error).__module__.startswith("prefect."):
        error = next((earlier for earlier in _contexts(error) if disk_is_full(earlier)), error)
    text = text_of(error)[:300].rstrip(".")
    if disk_is_full(error) or (isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS)):
        path = getattr(error, "filename", None) or "the output"
        reason = os.strerror(errno.ENOSPC) if disk_is_full(error) else getattr(error, "strerror", None) or text
        return UsageError(
            f"Cannot write {path}: {reason}.",
            "Free space, or fix the permissions; LSTM_TEXT_STATE names another folder for run state.",
        )
    if "database is locked" in text:
        return ModelError(
            f"Another process has locked the tracking database for more than {RETRY_FOR_SECONDS:.0f} s: {text}.",
            "End that process and run the same command again: it continues. With many writers use PostgreSQL "
            "(docs/team.md).",
        )
    if type(error).__module__.split(".")[0] in SERVER_PACKAGES:
        if lost := lost_server():
            return lost
        return ModelError(
            f"The tracking server (MLflow) or the orchestrator (Prefect) failed: {type(error).__name__}: {text}.",
            "Check MLFLOW_TRACKING_URI and PREFECT_API_URL and that the servers run.",
        )
    return None


def _contexts(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that were being handled when this one was raised: what a server then failed to record."""
    while error.__context__ is not None:
        error = error.__context__
        yield error
