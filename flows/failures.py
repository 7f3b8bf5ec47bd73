"""Turn errors of servers and disks into errors with a remedy."""

import errno
import os
import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_settings import SettingsError

from lstm_model.errors import LstmTextError, ModelError, UsageError
from tasks.runtime.server_checks import LOGIN

SERVER_PACKAGES = (
    "mlflow", "sqlalchemy", "requests", "urllib3", "httpx", "httpcore", "prefect", "psycopg2", "botocore"
)  # fmt: skip


def known_failure(error: BaseException) -> LstmTextError | None:
    """Return an error of MLflow, Prefect, the network or the disk with what to do about it; None for a bug."""
    if unusable := _prefect_settings(error):
        return unusable
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
        refused = re.search(r"error code 40[13] |40[13] (Unauthorized|Forbidden)", text)
        login = f" For the login, set {LOGIN['MLflow']}; for Prefect {LOGIN['Prefect']}." if refused else ""
        return ModelError(
            f"The tracking server (MLflow) or the orchestrator (Prefect) failed: {type(error).__name__}: {text}.",
            f"Check MLFLOW_TRACKING_URI and PREFECT_API_URL and that the servers run.{login}",
        )
    return None


def _prefect_settings(error: BaseException) -> UsageError | None:
    """Return what is wrong with Prefect's settings, which it checks when it is imported; None for other errors."""
    if isinstance(error, SettingsError):
        text, variables = str(error), []
    elif isinstance(error, ValidationError) and error.title.endswith("Settings") and error.title != "Settings":  # Ours.
        problem = error.errors()[0]
        text = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} (given: {str(problem['input'])[:110]!r})"
        given = [(name, value) for name, value in os.environ.items() if name.startswith("PREFECT_")]
        variables = [name for name, value in given if value == problem["input"]]
    else:
        return None
    where = " and ".join(variables) or "it in .env, prefect.toml, pyproject.toml or Prefect's profiles.toml"
    return UsageError(f"Prefect cannot use its settings: {text}.", f"Correct {where}.")


def _contexts(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that were being handled when this one was raised: what a server then failed to record."""
    while error.__context__ is not None:
        error = error.__context__
        yield error
