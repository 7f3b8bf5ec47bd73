"""Shared set-up: every test session has run state of its own, and Prefect's harness starts once."""

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Before anything imports Prefect or MLflow: both read their environment at import.
os.environ["LSTM_TEXT_STATE"] = tempfile.mkdtemp(prefix="lstm-text-tests-")
for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME", "PREFECT_LOCAL_STORAGE_PATH"):
    os.environ.pop(name, None)

from tasks.runtime.garbage import search_less_often  # noqa: E402
from tasks.runtime.state.local_state import state_root, use_local_state  # noqa: E402
from tests.databases import give_databases, give_prefect_database  # noqa: E402
from tests.gateway import gateway  # noqa: E402, F401  a fixture

use_local_state()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # In the background of a script; children would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
search_less_often()  # As the command does.
# Prefect's console handler keeps the stream of the test it was made in, which pytest has closed since.
logging.raiseExceptions = False


ORDER = {"team": 0, "flows": 1, "library": 3}  # The slow ones first: at the end, short files keep all workers busy.


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # Workers inherit it.
        os.environ["SHARED_BY_WORKERS"] = tempfile.mkdtemp(prefix="lstm-text-shared-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["SHARED_BY_WORKERS"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.get(item.path.parent.name, 2))


class ByServers(LoadFileScheduling):  # type: ignore[misc]
    """One worker runs all tests of a file, and all that use the team's servers, which take 40 s to start."""

    def _split_scope(self, nodeid: str) -> str:
        return "team" if nodeid.startswith("tests/team/") else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServers:
    return ByServers(config, log)


@pytest.fixture(scope="session")
def state() -> Path:
    """The folder that takes the place of mlruns/ in this session."""
    return state_root()


@pytest.fixture(scope="session")
def prefect_server(state: Path) -> Iterator[None]:
    """Prefect's embedded server; starting it takes about 10 s, so once a session."""
    from prefect.testing.utilities import prefect_test_harness

    if not (state / "mlflow.db").exists():
        give_databases(state)

    def folder_with_database() -> str:
        folder = tempfile.mkdtemp()
        give_prefect_database(Path(folder, "prefect-test.db"))
        return folder

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("prefect.testing.utilities.mkdtemp", folder_with_database)
        with prefect_test_harness(server_startup_timeout=120):
            yield
