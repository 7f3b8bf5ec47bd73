from pathlib import Path

from pydantic_settings import CliPositionalArg

from flows.settings import TextSettings, finish
from lstm_model.config.data import Dialect


class Settings(TextSettings):
    """Compare texts with the rows a version was evaluated on."""

    input: CliPositionalArg[Path]
    """The file with the texts, or the output of lstm-text score (then --feedback is needed)."""
    feedback: Path | None = None
    """A file with the columns id and label: true labels of rows of the input."""
    feedback_dialect: Dialect = Dialect()
    """As --delimiter, --quoting, --encoding and --header, for the feedback."""

    def check_inputs(self) -> None:
        from lstm_model.data.reading import read_columns

        read_columns(self.input, dialect=self.dialect)
        if self.feedback is not None:
            read_columns(self.feedback, dialect=self.feedback_dialect)


def run(settings: Settings) -> int:
    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.monitoring import watch_drift
    outcome = watch_drift(settings.input, **settings.without("input"), repeat=True)
    parts = [part for part in (outcome.drift, outcome.accuracy) if part]
    for part in parts:
        print(f"{part.line}\n{part.run_url}")
    finish(settings, outcome.model_dump(mode="json"))
    return 5 if any(part.verdict == "drifted" for part in parts) else 0
