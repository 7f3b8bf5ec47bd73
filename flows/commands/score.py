from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg, CliToggleFlag

from flows.settings import TextSettings, finish


class Settings(TextSettings):
    """Answer every row of a file with a registered model."""

    input: CliPositionalArg[Path]
    """The file with the texts, or a folder or pattern of files with the same columns; - reads stdin."""
    output: Path
    """Where to write the answers: .parquet or .csv."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Answers with a lower score get the abstain label."""
    abstain_label: str = "abstain"
    """The label of answers below the threshold."""
    overwrite: bool = False
    """Replace an output that exists."""
    resume: bool = True
    """Continue an unfinished scoring of the same input, with the version that it started with."""
    engine: Literal["local", "dask"] = "local"
    """Where chunks are answered: on all cores here, or on an existing Dask cluster."""
    scheduler: str | None = None
    """Address of the Dask scheduler, such as tcp://127.0.0.1:8786."""
    no_drift: CliToggleFlag[bool] = False
    """Skip the comparison with the version's training reference."""

    def check_inputs(self) -> None:
        """Report a missing or broken file, and an output that is part of it. stdin is not read yet."""
        if str(self.input) != "-":
            self.check_file(self.input)

    def check_file(self, path: Path) -> None:
        from lstm_model.data.parts import refuse_output_in_input
        from lstm_model.data.reading import read_columns

        refuse_output_in_input(path, self.output)
        read_columns(path, dialect=self.dialect, names=self.text_columns or [self.text_column])


def run(settings: Settings) -> int:
    from lstm_model.data.parts import input_or_stdin
    from tasks.runtime.prefect_server import use_prefect_server

    with input_or_stdin(settings.input) as path:
        if str(settings.input) == "-":
            settings.check_file(path)
        with use_prefect_server():
            from flows.scoring import score_texts
            from tasks.scoring.scoring_job import check_output

            check_output(path, settings.output, overwrite=settings.overwrite)
        drift = None if settings.no_drift else settings.drift
        outcome = score_texts(path, drift=drift, **settings.without("input", "no_drift", "drift"))
    print(f"{outcome.rows:,} rows, {outcome.unscored:,} without a text, by {outcome.model_name} {outcome.version}")
    if outcome.drift:
        print(outcome.drift.line)
    print(outcome.output)
    return finish(settings, outcome.model_dump(mode="json"))
