"""New databases of MLflow and Prefect, made once for all workers of a session: making them takes 10 s of a core."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from filelock import FileLock

DATABASES = {"mlflow.db": "tracking_database", "prefect/prefect.db": "prefect_database"}


def give_databases(state: Path) -> None:
    """Put both into a new state folder."""
    from tasks.runtime.state.relocation import relocate

    (state / "prefect").mkdir(parents=True, exist_ok=True)
    for name in DATABASES:
        shutil.copyfile(databases() / name, state / name)
    relocate(state / "mlflow.db", state)


def give_prefect_database(file: Path) -> None:
    """Put the one of Prefect's server at a path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(databases() / "prefect" / "prefect.db", file)


def own_variables() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}


def session_folder(name: str) -> Path:
    """Return a folder that all workers of this test session share; tests/conftest.py makes and removes it."""
    folder = Path(os.environ["SHARED_BY_WORKERS"], name)
    folder.mkdir(exist_ok=True)
    return folder


@cache
def databases() -> Path:
    """Return a folder with the databases of a new run state."""
    folder = session_folder("databases")
    (folder / "prefect").mkdir(exist_ok=True)
    code = "from tasks.runtime.state import local_state, {0}; local_state.use_local_state(); {0}.prepare_{0}()"
    variables = {**own_variables(), "LSTM_TEXT_STATE": str(folder)}
    with FileLock(folder / "lock"):
        for name, module in DATABASES.items():
            if not (folder / name).exists():
                subprocess.run([sys.executable, "-c", code.format(module)], env=variables, check=True)
    return folder
