"""Shared set-up: every test session has run state of its own, and Prefect's harness starts once."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports Prefect or MLflow: both read their environment at import.
os.environ["LSTM_TEXT_STATE"] = tempfile.mkdtemp(prefix="lstm-text-tests-")
for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME", "PREFECT_LOCAL_STORAGE_PATH"):
    os.environ.pop(name, None)

from tasks.runtime.state.local_state import state_root, use_local_state  # noqa: E402
from tests.gateway import gateway  # noqa: E402, F401  a fixture

use_local_state()
# Prefect's console handler keeps the stream of the test it was made in, which pytest has closed since.
logging.raiseExceptions = False


@pytest.fixture(scope="session")
def state() -> Path:
    """The folder that takes the place of mlruns/ in this session."""
    return state_root()


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect's embedded server; starting it takes about 10 s, so once a session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
