"""The scoring flow: answer a file of texts with the registered champion."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.forms import readable
from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from tasks.monitoring.comparisons import compare_scored
from tasks.runs.flow_run import recorded_flow
from tasks.scoring.score_file import Engine, ScoringOutcome, score_file
from tasks.scoring.scoring_job import ScoringRequest, check_output, open_job, sole_writer


@flow(name="score-texts", flow_run_name="{path}")
@readable
def score_texts(
    path: Path,
    output: Path,
    model_uri: str = "models:/text-classifier@champion",
    text_column: str = "text",
    text_columns: tuple[str, ...] | None = None,
    id_column: str | None = None,
    dialect: Dialect = Dialect(),
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.0,
    abstain_label: str = "abstain",
    overwrite: bool = False,
    resume: bool = True,
    engine: Engine = "local",
    scheduler: str | None = None,
    drift: DriftConfig | None = DriftConfig(),
) -> ScoringOutcome:
    """Answer every row of a file with a registered model; ids and order stay.

    Args:
        path: The file with the texts, or a folder or pattern of files with the same columns.
        output: Where to write the answers: .parquet or .csv.
        model_uri: The registered model, as models:/NAME@ALIAS or models:/NAME/VERSION.
        text_column: Name of the column with the text. A file without `text`: the column of the training.
        text_columns: Names of several columns that are the text, in the model's order. Unset: as it was trained.
        id_column: Name of the column with the id. Unset: `id` if the file has it, otherwise the row number.
            none: the row number.
        dialect: How a text file is written: delimiter, quoting, encoding and header, as in data of training.
        threshold: Answers with a lower score get abstain_label instead of a label.
        abstain_label: The label of answers below the threshold.
        overwrite: Replace an output that exists.
        resume: Continue an unfinished scoring of the same input, with the version that it started with.
        engine: Where chunks are answered: local (all cores), or dask (an existing cluster).
        scheduler: Address of the Dask scheduler, such as tcp://127.0.0.1:8786.
        drift: Limits of the comparison with the version's training reference; null skips the comparison.
    """
    with recorded_flow(), sole_writer(output):
        check_output(path, output, overwrite=overwrite)
        request = ScoringRequest(
            path=path, output=output, model_uri=model_uri, text_column=text_column, text_columns=text_columns,
            id_column=id_column, dialect=dialect, threshold=threshold, abstain_label=abstain_label,
        )  # fmt: skip
        job = open_job(request, resume=resume)
        outcome, batch = score_file(job, engine=engine, scheduler=scheduler, profiled=drift is not None)
        return outcome.model_copy(update={"drift": compare_scored(batch, drift)})
