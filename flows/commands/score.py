"""`lstm-text score`: the scoring flow."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg, CliToggleFlag

from flows.commands.settings import DEFAULT_MODEL_URI, CommandSettings, finish
from lstm_model.config.data import Quoting
from lstm_model.config.drift import DriftConfig


class Settings(CommandSettings):
    """Answer every row of a file with a registered model."""

    command: ClassVar[str] = "score"
    opens_tracking = "later"

    input: CliPositionalArg[Path]
    """The file with the texts: .csv, .tsv, .jsonl (each also .gz) or .parquet."""
    output: Path
    """Where the answers go: .parquet or .csv."""
    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    text_column: str = "text"
    """Name of the column with the text."""
    id_column: str | None = None
    """Name of the column with the id. Unset: `id` if the file has it, otherwise the row number from 1."""
    quoting: Quoting = "auto"
    """Whether double quotes enclose fields of CSV and TSV: auto, quoted or none, as data.quoting of train."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Answers with a lower score get the abstain label."""
    abstain_label: str = "abstain"
    """What stands in the place of a label below the threshold."""
    overwrite: bool = False
    """Replace an output that exists."""
    resume: bool = True
    """Go on with an unfinished scoring of the same input, by the version that it began with."""
    engine: Literal["local", "dask"] = "local"
    """Where chunks are answered: on all cores here, or on an existing Dask cluster."""
    scheduler: str | None = None
    """Address of the Dask scheduler, such as tcp://127.0.0.1:8786."""
    no_drift: CliToggleFlag[bool] = False
    """Leave out the comparison with the texts that the version was judged on."""
    drift: DriftConfig = DriftConfig()
    """When the texts count as others."""


def run(settings: Settings) -> int:
    from lstm_model.data.reading import read_columns

    read_columns(settings.input, quoting=settings.quoting)

    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.scoring import score_texts
        from tasks.scoring.scoring_job import check_output

        check_output(settings.output, overwrite=settings.overwrite)
    outcome = score_texts(
        path=settings.input,
        output=settings.output,
        model_uri=settings.model_uri,
        text_column=settings.text_column,
        id_column=settings.id_column,
        quoting=settings.quoting,
        threshold=settings.threshold,
        abstain_label=settings.abstain_label,
        overwrite=settings.overwrite,
        resume=settings.resume,
        engine=settings.engine,
        scheduler=settings.scheduler,
        drift=None if settings.no_drift else settings.drift,
    )
    print(f"{outcome.rows:,} rows, {outcome.unscored:,} without a text, by {outcome.model_name} {outcome.version}")
    if outcome.drift:
        print(outcome.drift.line)
    print(f"{outcome.output}")
    return finish(settings, outcome.model_dump(mode="json"))
