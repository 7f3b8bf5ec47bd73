"""What you see of a run in Prefect and in the terminal: artifacts, progress, log lines."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger

from lstm_model.errors import LstmTextError
from lstm_model.memory import memory_error
from tasks.runtime.interrupts import stop_if_signalled
from tasks.runtime.retries import may_pass
from tasks.runtime.terminal import bar

PROGRESS_SECONDS = 5.0  # Between updates: each is a request, which takes time from the work.
LOG_SECONDS = 30.0  # Between log lines, where there is no terminal for a bar.


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table: numbers right-aligned, floats with four decimals."""

    def cell(value: Any) -> str:
        text = f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" ---: " if n else " --- " for n in numeric) + "|"]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal: columns aligned, lines without white space at the end."""
    lines = [header, *rows]
    widths = [*(max(len(line[i]) for line in lines) for i in range(len(header) - 1)), 0]
    rows = ("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(map(str.rstrip, rows))


def run_logger() -> logging.LoggerAdapter[Any] | logging.Logger:
    """Return the logger of the current flow or task run; outside one, the terminal's."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("lstm-text")


def publish_markdown(key: str, markdown: str, description: str) -> None:
    """Show a Markdown artifact on the flow run's page."""
    create_markdown_artifact(markdown, key=key, description=description)


class Progress:
    """A bar in a terminal and a progress artifact in Prefect, for work of known or unknown size."""

    def __init__(self, key: str, what: str, *, total: int | None, unit: str, bound: str = "about") -> None:
        """bound: how total is meant: `about`, or `at most`."""
        self.what, self.total, self.unit, self.bound = what, total, unit, bound
        self.bar = bar(total, what, unit)
        self.artifact: UUID | None = ask_once(create_progress_artifact, 0.0, key=key, description=what)
        self.started = self.shown = self.logged = time.monotonic()
        self.skipped: int | None = None

    def set(self, done: int, *, what: str | None = None) -> None:
        """Show how much is done, in the artifact at most every PROGRESS_SECONDS. A lost signal stops the work here."""
        stop_if_signalled()
        if self.skipped is None:  # The first part takes longer: TensorFlow traces the network.
            self.skipped, self.started = done, time.monotonic()
        self.bar.update(done - self.bar.n)
        if what:
            self.what = what
            self.bar.set_description(what, refresh=False)
        if self.total and time.monotonic() - self.shown > PROGRESS_SECONDS:
            text = f"{self.what}: {self._pace(done, self.total)}"
            self._show(min(100.0, 100.0 * done / self.total), text)
            self.shown = time.monotonic()
            if self.bar.disable and self.shown - self.logged > LOG_SECONDS:
                get_run_logger().info("%s", text)
                self.logged = self.shown

    def chunks(self, texts: list[str], size: int) -> Iterator[list[str]]:
        """Yield the texts in chunks, show how many are done, and close."""
        for first in range(0, len(texts), size):
            yield texts[first : first + size]
            self.set(min(first + size, len(texts)))
        self.close()

    def skip(self, done: int) -> None:
        """Count what was done before: for the total, but not for the pace."""
        self.bar.initial = self.skipped = done
        self.bar.n = done

    def _pace(self, done: int, total: int) -> str:
        pace = (done - (self.skipped or 0)) / (time.monotonic() - self.started)
        left = f", {self.bound} {max(0, total - done) / pace:,.0f} s left" if pace > 0 else ""
        return f"{done:,} of {self.bound} {total:,} {self.unit}, {pace:,.0f} {self.unit}/s{left}"

    def close(self, summary: str | None = None) -> None:
        """End with 100 %, and one log line with the summary where there is one."""
        self.bar.close()
        self._show(100.0, summary or self.what)
        if summary:
            get_run_logger().info("%s", summary)

    def _show(self, percent: float, text: str) -> None:
        if self.artifact is not None:
            ask_once(update_progress_artifact, self.artifact, percent, description=text)


def ask_once(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return call(*args, **kwargs), or None where it fails: the work neither waits for it nor fails with it."""
    context = get_settings_context()
    # Not temporary_settings: it reads the environment and all files of settings again, which takes 50 ms.
    client = context.settings.client.model_copy(update={"max_retries": 0})
    settings = context.settings.model_copy(update={"client": client})
    try:
        with SettingsContext(profile=context.profile, settings=settings):
            return call(*args, **kwargs)
    except Exception:  # noqa: BLE001  such as a server whose disk is full
        return None


def shorten_errors() -> None:
    """Shorten the errors that Prefect's engine and MLflow's database log; a second call changes nothing."""
    for name in ("prefect.flow_runs", "prefect.task_runs", "mlflow.store.db.utils"):
        logging.getLogger(name).addFilter(_shorten)


def _shorten(record: logging.LogRecord) -> bool:
    """Drop the traceback of an error that names its remedy, and of a full disk or a server that does not answer.

    A bug keeps its traceback. Errors of its database that MLflow logs are dropped if `tasks.runtime.retries` logs them.
    """
    failure = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    failure = failure and (memory_error(failure) or failure)
    if isinstance(failure, LstmTextError):
        record.exc_info = record.exc_text = None
        record.msg, record.args = "%s", (str(failure),)
    elif failure is not None and may_pass(failure):
        record.exc_info = record.exc_text = None
        return not record.name.startswith("mlflow")
    return True
