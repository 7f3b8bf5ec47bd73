"""Makes a database of a new state, and kills itself (SIGKILL) in it: python killed_making.py WHICH FOLDER MOMENT...

WHICH: mlflow or prefect, as the commands make it; mlflow-alone or prefect-alone, in its place at once, as without
sqlite_files.py. MOMENT: the number of the SQL statement that is not reached, `rename`, or `end`. Each moment has a
process of its own, forked, and begins with what the one before left. Prints how each ended: 0, or -9.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

which, folder, moments = sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3:]
os.environ["LSTM_TEXT_STATE"] = str(folder)

from tasks.runtime.state.local_state import use_local_state  # noqa: E402

use_local_state()

from sqlalchemy import event  # noqa: E402
from sqlalchemy.engine import Engine  # noqa: E402

if which.startswith("mlflow"):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from tasks.runtime.state.tracking_database import prepare_tracking_database

    in_place = partial(SqlAlchemyStore, f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    making = in_place if which.endswith("-alone") else prepare_tracking_database
else:
    import prefect.server.api.server  # noqa: F401  Once, not in each process.

    from tasks.runtime.state.prefect_database import make, prepare_prefect_database

    (folder / "prefect").mkdir(exist_ok=True)
    making = partial(make, folder / "prefect" / "prefect.db") if which.endswith("-alone") else prepare_prefect_database


def kill_at(moment: str) -> None:
    """Have this process end at the moment."""
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1
        if str(statements) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    if moment == "rename":
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, method-assign]


for moment in moments:
    process = os.fork()
    if not process:
        kill_at(moment)
        making()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
