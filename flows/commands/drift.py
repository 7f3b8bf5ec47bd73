"""`lstm-text drift`: the monitoring flow."""

from pathlib import Path
from typing import ClassVar

from pydantic_settings import CliPositionalArg

from flows.commands.settings import DEFAULT_MODEL_URI, CommandSettings, finish
from lstm_model.config.data import Quoting
from lstm_model.config.drift import DriftConfig


class Settings(CommandSettings):
    """Compare texts with those a version was judged on."""

    command: ClassVar[str] = "drift"
    opens_tracking = "later"

    input: CliPositionalArg[Path]
    """The file with the texts, or with what lstm-text score wrote of them (then --feedback is needed)."""
    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    feedback: Path | None = None
    """A file with the columns id and label: true labels of rows of the input."""
    text_column: str = "text"
    """Name of the column with the text."""
    id_column: str | None = None
    """Name of the column with the id. Unset: `id` if the file has it, otherwise the row number from 1."""
    quoting: Quoting = "auto"
    """Whether double quotes enclose fields of a CSV or TSV: auto, quoted or none, as data.quoting of train."""
    feedback_quoting: Quoting = "auto"
    """The same for the feedback."""
    drift: DriftConfig = DriftConfig()
    """When the texts count as others."""


def run(settings: Settings) -> int:
    from lstm_model.data.reading import read_columns

    read_columns(settings.input, quoting=settings.quoting)
    if settings.feedback is not None:
        read_columns(settings.feedback, quoting=settings.feedback_quoting)

    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.monitoring import watch_drift
    outcome = watch_drift(
        path=settings.input,
        model_uri=settings.model_uri,
        feedback=settings.feedback,
        text_column=settings.text_column,
        id_column=settings.id_column,
        quoting=settings.quoting,
        feedback_quoting=settings.feedback_quoting,
        drift=settings.drift,
        repeat=True,
    )
    parts = [part for part in (outcome.drift, outcome.accuracy) if part]
    for part in parts:
        print(f"{part.line}\n{part.run_url}")
    finish(settings, outcome.model_dump(mode="json"))
    return 5 if any(part.verdict == "drifted" for part in parts) else 0
