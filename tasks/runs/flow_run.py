"""What the body of every flow runs in, and what counts as an interruption of it."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.context import FlowRunContext, refresh_global_settings_context
from prefect.exceptions import TerminationSignal

from tasks.runs.overdue_runs import cancel_missed_slots
from tasks.runtime.artifacts import shorten_errors
from tasks.runtime.interrupts import lost_signal, noticed_signals
from tasks.runtime.retries import disk_is_full
from tasks.runtime.state.local_state import use_local_state
from tasks.runtime.state.tracking_database import prepare_tracking_database

SIGNALS = (KeyboardInterrupt, TerminationSignal)
INTERRUPTIONS = (*SIGNALS, asyncio.CancelledError)
RECORDED_SECONDS = 30.0


@contextmanager
def recorded_flow() -> Iterator[None]:
    """What every flow's body runs in: local state, short errors, missed slots, task runs recorded at the end."""
    use_local_state()
    prepare_tracking_database()
    shorten_errors()
    cancel_missed_slots()
    try:
        with noticed_signals():
            yield
    except INTERRUPTIONS:
        raise  # Whoever stops a run does not wait for records.
    except BaseException as error:
        if disk_is_full(error):
            # Prefect's server can record nothing on that disk either: it would be asked again for minutes.
            os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "0"
            refresh_global_settings_context()
        else:
            wait_until_recorded()
        raise
    else:
        wait_until_recorded()


def interruption_in(error: BaseException) -> BaseException | None:
    """Return what stopped the run: the error itself, a signal behind it or lost before it; None where nobody did.

    A signal that arrives while TensorFlow traces a function comes out as an AssertionError of its own cleaning up.
    """
    if isinstance(error, INTERRUPTIONS):
        return error
    seen: list[BaseException] = []
    behind: BaseException | None = error
    while behind is not None and behind not in seen:
        # Not asyncio's: a request that took too long is a TimeoutError with a CancelledError behind it.
        if isinstance(behind, SIGNALS):
            return behind
        seen.append(behind)
        behind = behind.__cause__ or behind.__context__
    return lost_signal()


def wait_until_recorded() -> None:
    """Return when the server knows a final state of each task run that this flow run started.

    Task runs reach the server as events, and it writes them in batches. A process that exits at once takes its
    embedded server along: task runs are missing in the UI, and tracebacks are printed.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    expected = sum(int(key) + 1 if isinstance(key, int) else 1 for key in context.task_run_dynamic_keys.values())
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[context.flow_run.id]))
    deadline = time.monotonic() + RECORDED_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            task_runs = client.read_task_runs(flow_run_filter=wanted)
            if sum(1 for run in task_runs if run.state and run.state.is_final()) >= expected:
                return
            time.sleep(0.1)
    get_run_logger().warning("Prefect's server has not recorded all task runs after %.0f s.", RECORDED_SECONDS)
