"""Waiting until Prefect's server has written down every task run of the current flow run."""

import time

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.context import FlowRunContext

TIMEOUT_SECONDS = 30.0


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
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            task_runs = client.read_task_runs(flow_run_filter=wanted)
            if sum(1 for run in task_runs if run.state and run.state.is_final()) >= expected:
                return
            time.sleep(0.1)
    get_run_logger().warning("Prefect's server has not recorded all task runs after %.0f s.", TIMEOUT_SECONDS)
