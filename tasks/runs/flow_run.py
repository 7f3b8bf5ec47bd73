"""The context that the body of each flow runs in, and what counts as an interruption of it."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.context import FlowRunContext, refresh_global_settings_context
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, StateType
from prefect.types._datetime import now

from lstm_model.errors import causes
from tasks.runtime.artifacts import shorten_errors
from tasks.runtime.interrupts import lost_signal, noticed_signals
from tasks.runtime.prefect_server import lost_server
from tasks.runtime.retries import disk_is_full
from tasks.runtime.state.local_state import use_local_state
from tasks.runtime.state.tracking_database import prepare_tracking_database

SIGNALS = (KeyboardInterrupt, TerminationSignal)
INTERRUPTIONS = (*SIGNALS, asyncio.CancelledError)
RECORDED_SECONDS = 30.0


@contextmanager
def recorded_flow() -> Iterator[None]:
    """Set up a flow: local state, short errors, overdue runs. At its end wait until its task runs are recorded."""
    use_local_state()
    prepare_tracking_database()
    shorten_errors()
    cancel_overdue_runs()
    try:
        with noticed_signals():
            yield
    except INTERRUPTIONS:
        raise  # You do not want to wait for records after you stop a run.
    except BaseException as error:
        if disk_is_full(error) or lost_server():
            # Prefect's server cannot write to that disk either, or is gone; the client would retry for minutes.
            os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "0"
            refresh_global_settings_context()
        else:
            wait_until_recorded()
        raise
    else:
        wait_until_recorded()


def cancel_overdue_runs() -> None:
    """Cancel the due runs of the schedule that started the current flow run, which does their work.

    Prefect plans runs ahead and starts all that are due when a worker comes back. The limit with CANCEL_NEW cancels
    those that a worker starts at the same time, but a worker with `--limit 1` starts one after the other.
    """
    flow_run = FlowRunContext.get().flow_run
    if flow_run.deployment_id is None or not flow_run.auto_scheduled:
        return
    due = filters.FlowRunFilter(
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[flow_run.deployment_id]),
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=now("UTC")),
    )
    with get_client(sync_client=True) as client:
        overdue = [run for run in client.read_flow_runs(flow_run_filter=due) if run.auto_scheduled]
        for run in overdue:
            client.set_flow_run_state(run.id, Cancelled(message=f"Overdue; {flow_run.name} does its work."))
    if overdue:
        get_run_logger().info("This run also does the work of %d overdue runs of the schedule.", len(overdue))


def interruption_in(error: BaseException) -> BaseException | None:
    """Return what stopped the run: the error itself, or a signal behind it or lost before it; None if nothing did.

    If a signal arrives while TensorFlow traces a function, the cleanup of TensorFlow fails with an AssertionError.
    """
    if isinstance(error, INTERRUPTIONS):
        return error
    # Not CancelledError: a request that takes too long is a TimeoutError caused by one.
    return next((cause for cause in causes(error) if isinstance(cause, SIGNALS)), None) or lost_signal()


def wait_until_recorded() -> None:
    """Wait until the server knows a final state of each task run that this flow run started.

    Task runs reach the server as events, which it writes in batches. If the process exits at once, its embedded server
    ends too: task runs are missing in the UI, and tracebacks are printed.
    """
    context = FlowRunContext.get()
    expected = sum(int(key) + 1 if isinstance(key, int) else 1 for key in context.task_run_dynamic_keys.values())
    wanted = filters.FlowRunFilter(id=filters.FlowRunFilterId(any_=[context.flow_run.id]))
    deadline = time.monotonic() + RECORDED_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            task_runs = client.read_task_runs(flow_run_filter=wanted)
            if sum(bool(run.state and run.state.is_final()) for run in task_runs) >= expected:
                return
            time.sleep(0.1)
    get_run_logger().warning("Prefect's server has not recorded all task runs after %.0f s.", RECORDED_SECONDS)
