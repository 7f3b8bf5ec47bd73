import sys
from pathlib import Path

from pydantic_settings import CliPositionalArg

from flows.settings import CommandSettings, finish


class Settings(CommandSettings):
    """Run a recorded training again without registering it, and show what is equal."""

    run: CliPositionalArg[str]
    """Id of the MLflow run."""
    data_path: Path | None = None
    """The labelled file. Unset: where the run read it."""
    word_vectors: Path | None = None
    """The file of model.word_vectors, if the run has one. Unset: where the run read it."""
    keep: bool = False
    """Keep the folder with the state of the rerun, and show its path."""


def run(settings: Settings) -> int:
    from tasks.runs.reproduce_run import reproduce_run
    from tasks.runtime.state.local_state import state_root

    command = [sys.executable, "-P", "-m", "flows.reproduction", str(state_root() / "logs")]
    found = reproduce_run(settings.run, command, **settings.without("run"))
    print(found.table)
    if found.state:
        print(f"The state of the rerun is in {found.state}")
    finish(settings, found.model_dump(mode="json"))
    if difference := found.difference():
        raise difference
    return 0
