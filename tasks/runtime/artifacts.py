"""What a person sees of a run in Prefect and in the terminal: artifacts, progress, log lines."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from tqdm import tqdm

from lstm_model.errors import LstmTextError
from tasks.runtime.interrupts import stop_if_signalled
from tasks.runtime.retries import may_pass

PROGRESS_SECONDS = 5.0  # Each update is a request, which takes time from the work: at most one in this time.
LOG_SECONDS = 30.0  # Where there is no terminal for a bar.


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; numbers are right-aligned, floats shown with four decimals."""

    def cell(value: Any) -> str:
        text = f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" ---: " if n else " --- " for n in numeric) + "|"]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal, columns aligned; the last one is as wide as it needs to be."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(line, [*widths, 0], strict=True))]) for line in lines)


def run_logger() -> logging.LoggerAdapter[Any] | logging.Logger:
    """Return the logger of the current flow or task run; outside one, that of the terminal."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("lstm-text")


def publish_markdown(key: str, markdown: str, description: str) -> None:
    """Show a Markdown artifact on the flow run's page."""
    create_markdown_artifact(markdown, key=key, description=description)


class Progress:
    """A bar in the terminal (when it is one) and a progress artifact in Prefect, for work of known or unknown size."""

    def __init__(self, key: str, what: str, *, total: int | None, unit: str) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.bar = tqdm(total=total, desc=what, unit=f" {unit}", file=sys.stderr, disable=None, leave=False)
        self.artifact: UUID | None = ask_once(create_progress_artifact, 0.0, key=key, description=what)
        self.started = self.shown = self.logged = time.monotonic()
        self.skipped = 0

    def set(self, done: int, *, what: str | None = None) -> None:
        """Say how much is done; the artifact follows at most every five seconds. A signal that got lost stops here."""
        stop_if_signalled()
        self.bar.update(done - self.bar.n if not self.bar.disable else 0)
        if what:
            self.what = what
            self.bar.set_description(what, refresh=False)
        if self.total and time.monotonic() - self.shown > PROGRESS_SECONDS:
            told = f"{self.what}: {self._pace(done, self.total)}"
            self._show(min(100.0, 100.0 * done / self.total), told)
            self.shown = time.monotonic()
            if self.bar.disable and self.shown - self.logged > LOG_SECONDS:
                get_run_logger().info("%s", told)
                self.logged = self.shown

    def skip(self, done: int) -> None:
        """Say that so much was done before: it counts for the total, but not for the pace."""
        self.bar.initial = self.skipped = done
        self.bar.n = done

    def _pace(self, done: int, total: int) -> str:
        pace = (done - self.skipped) / (time.monotonic() - self.started)
        left = f", {max(0, total - done) / pace:,.0f} s left" if pace > 0 else ""
        return f"{done:,} of about {total:,} {self.unit}, {pace:,.0f} {self.unit}/s{left}"

    def close(self, summary: str) -> None:
        """End with 100 % and one log line."""
        self.bar.close()
        self._show(100.0, summary)
        get_run_logger().info("%s", summary)

    def _show(self, percent: float, told: str) -> None:
        if self.artifact is not None:
            ask_once(update_progress_artifact, self.artifact, percent, description=told)


def ask_once(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return call(*args, **kwargs), or None where it fails: progress is worth no wait, and no failure of the work."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            return call(*args, **kwargs)
    except Exception:  # noqa: BLE001  a server whose disk is full, say
        return None


class ShortErrors(logging.Filter):
    """Drop the traceback of an error that names its remedy, and of a full disk or a server that does not answer.

    A bug keeps its own. What MLflow logs of its database is dropped where `tasks.runtime.retries` tells it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        failure = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(failure, LstmTextError):
            record.exc_info = record.exc_text = None
            record.msg, record.args = "%s", (str(failure),)
        elif failure is not None and may_pass(failure):
            record.exc_info = record.exc_text = None
            return not record.name.startswith("mlflow")
        return True


def shorten_errors() -> None:
    """Install ShortErrors on the loggers of Prefect's engine and MLflow's database, once."""
    for name in ("prefect.flow_runs", "prefect.task_runs", "mlflow.store.db.utils"):
        logger = logging.getLogger(name)
        if not any(isinstance(existing, ShortErrors) for existing in logger.filters):
            logger.addFilter(ShortErrors())
