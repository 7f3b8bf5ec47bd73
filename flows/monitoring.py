"""The monitoring flow: new texts beside those that the champion was judged on, and answers beside true labels."""

from pathlib import Path

from prefect import flow

from flows.forms import readable
from lstm_model.config.data import Quoting
from lstm_model.config.drift import DriftConfig
from tasks.monitoring.monitor_file import WatchOutcome, WatchRequest, completed, watch_file
from tasks.runs.flow_run import recorded_flow


@flow(name="watch-drift", flow_run_name="{path}")
@readable
def watch_drift(
    path: Path,
    model_uri: str = "models:/text-classifier@champion",
    feedback: Path | None = None,
    text_column: str = "text",
    id_column: str | None = None,
    quoting: Quoting = "auto",
    feedback_quoting: Quoting = "auto",
    drift: DriftConfig = DriftConfig(),
    repeat: bool = False,
) -> WatchOutcome:
    """Compare a file of texts with the training reference of a registered version, and its answers with feedback.

    Args:
        path: The file with the texts, or what lstm-text score wrote of them (then feedback is needed). A file that is
            not there, or was compared before, ends the run as Completed, with a message.
        model_uri: The registered model, as models:/NAME@ALIAS or models:/NAME/VERSION.
        feedback: A file with the columns id and label: true labels of rows of the file.
        text_column: Name of the column with the text.
        id_column: Name of the column with the id; left out, `id` if the file has it, otherwise the row number.
        quoting: Whether double quotes enclose fields of CSV and TSV: auto, quoted or none, as data.quoting of training.
        feedback_quoting: The same for the feedback.
        drift: When texts count as other than the reference.
        repeat: Compare again what was compared before; nothing is logged twice.
    """
    with recorded_flow():
        request = WatchRequest(
            path=path,
            model_uri=model_uri,
            text_column=text_column,
            id_column=id_column,
            quoting=quoting,
            feedback_quoting=feedback_quoting,
            feedback=feedback,
            repeat=repeat,
        )
        return completed(watch_file(request, drift))
