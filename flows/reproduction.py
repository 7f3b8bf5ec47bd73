"""`lstm-text reproduce` runs this in a process with its own run state: a recorded training, up to its evaluation."""

import sys
from pathlib import Path

from prefect import flow

from flows.training import build_and_evaluate
from lstm_model.config.pipeline import PipelineConfig
from lstm_model.errors import LstmTextError
from tasks.runs.training_run import training_run
from tasks.runtime.prefect_server import use_prefect_server
from tasks.runtime.terminal import command_terminal


@flow(name="reproduce-text-classifier")
def rebuild_text_classifier(config: PipelineConfig) -> None:
    """Train and evaluate with these settings; register nothing.

    Args:
        config: The settings of the recorded run.
    """
    with training_run(config, trigger="reproduce") as run:
        build_and_evaluate(config, run)


if __name__ == "__main__":
    try:
        logs, settings = map(Path, sys.argv[1:])
        with command_terminal("reproduce", verbose=False, folder=logs):
            with use_prefect_server():
                config = PipelineConfig.model_validate_json(settings.read_text("utf-8"))
            rebuild_text_classifier(config)
    except LstmTextError as error:
        sys.exit(str(error))
