"""The scoring flow: a file of texts answered by the registered champion."""

from pathlib import Path

from prefect import flow

from tasks.score_file import ScoringOutcome, check_output, resolve_classifier, score_file
from tasks.tracking import recorded_flow


@flow(name="score-texts", flow_run_name="{path}")
def score_texts(
    path: Path,
    output: Path,
    model_uri: str = "models:/text-classifier@champion",
    text_column: str = "text",
    id_column: str | None = None,
    overwrite: bool = False,
) -> ScoringOutcome:
    """Answer every row of a file with a registered model, ids and order kept.

    Args:
        path: The file with the texts: .csv, .tsv, .jsonl (each also .gz) or .parquet.
        output: Where the answers go, as Parquet.
        model_uri: The registered model, as models:/NAME@ALIAS or models:/NAME/VERSION.
        text_column: Name of the column with the text.
        id_column: Name of the column with the id; left out, `id` if the file has it, otherwise the row number.
        overwrite: Replace an output that exists.
    """
    with recorded_flow():
        check_output(output, overwrite=overwrite)
        classifier = resolve_classifier(model_uri)
        return score_file(path, output, classifier, text_column=text_column, id_column=id_column)
