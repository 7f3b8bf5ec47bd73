"""One run does the work of all runs of a schedule that are overdue."""

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.context import FlowRunContext
from prefect.states import Cancelled, StateType
from prefect.types._datetime import now


def cancel_overdue_runs() -> None:
    """Cancel the due runs of the schedule that started the current flow run, which does their work.

    Prefect plans runs ahead and starts all that are due when a worker comes back. The limit with CANCEL_NEW cancels
    those that a worker starts at the same time, but a worker with `--limit 1` starts one after the other.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None or not flow_run.auto_scheduled:
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
