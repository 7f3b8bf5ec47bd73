"""The monitoring flow: compare new texts with the champion's training reference, and answers with true labels."""

from pathlib import Path

from prefect import flow

from flows.forms import readable
from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from tasks.monitoring.monitor_file import MonitorOutcome, MonitorRequest, completed, monitor_file
from tasks.runs.flow_run import recorded_flow


@flow(name="watch-drift", flow_run_name="{path}")
@readable
def watch_drift(
    path: Path,
    model_uri: str = "models:/text-classifier@champion",
    feedback: Path | None = None,
    text_column: str = "text",
    text_columns: tuple[str, ...] | None = None,
    id_column: str | None = None,
    dialect: Dialect = Dialect(),
    feedback_dialect: Dialect = Dialect(),
    drift: DriftConfig = DriftConfig(),
    repeat: bool = False,
) -> MonitorOutcome:
    """Compare a file of texts with the training reference of a registered version, and its answers with feedback.

    Args:
        path: The file with the texts, or the output of lstm-text score (then feedback is needed). If the file is
            missing or was compared before, the run ends as Completed, with a message.
        model_uri: The registered model, as models:/NAME@ALIAS or models:/NAME/VERSION.
        feedback: A file with the columns id and label: true labels of rows of the file.
        text_column: Name of the column with the text. A file without `text`: the column of the training.
        text_columns: Names of several columns that are the text, in the model's order. Unset: as it was trained.
        id_column: Name of the column with the id. Unset: `id` if the file has it, otherwise the row number.
            none: the row number.
        dialect: How a text file is written: delimiter, quoting, encoding and header, as in data of training.
        feedback_dialect: The same for the feedback.
        drift: Limits of the comparison with the reference.
        repeat: Compare again what was compared before; nothing is logged twice.
    """
    with recorded_flow():
        request = MonitorRequest(
            path=path, model_uri=model_uri, text_column=text_column, text_columns=text_columns, id_column=id_column,
            dialect=dialect, feedback_dialect=feedback_dialect, feedback=feedback, repeat=repeat,
        )  # fmt: skip
        return completed(monitor_file(request, drift))
