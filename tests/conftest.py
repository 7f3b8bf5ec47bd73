"""Shared set-up: every test session has run state of its own, and Prefect's harness starts once."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports Prefect or MLflow: both read their environment at import.
STATE = Path(tempfile.mkdtemp(prefix="lstm-text-tests-"))
os.environ["LSTM_TEXT_STATE"] = str(STATE)
for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME", "PREFECT_LOCAL_STORAGE_PATH"):
    os.environ.pop(name, None)

from tasks.local_state import use_local_state  # noqa: E402

use_local_state()
# Prefect's console handler keeps the stream of the test it was made in, which pytest has closed since.
logging.raiseExceptions = False


@pytest.fixture(scope="session")
def state() -> Path:
    """The folder that takes the place of mlruns/ in this session."""
    return STATE


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect's embedded server; starting it takes about 10 s, so once a session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """60 rows of three labels that a word tells apart: trains in a few seconds."""
    return write_tiny_file(tmp_path / "tiny.csv")


def write_tiny_file(path: Path, *, rows: int = 60) -> Path:
    words = {"cat": "purr meow whisker", "dog": "bark woof leash", "owl": "hoot night feather"}
    lines = ["id,text,label"]
    for number in range(rows):
        label = sorted(words)[number % 3]
        clue = words[label].split()[(number // 3) % 3]
        lines.append(f"r{number},the {clue} came at {number} and left,{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
