"""Slots of a schedule that nobody was there for give one run, not a pile."""

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.context import FlowRunContext
from prefect.states import Cancelled, StateType
from prefect.types._datetime import now


def cancel_missed_slots() -> None:
    """Cancel the due runs of the schedule that the current flow run came from: it does their work.

    Prefect plans runs ahead and hands out all that are due when a worker comes back. The limit with CANCEL_NEW cancels
    those that a worker takes at the same time, but a worker with `--limit 1` takes them one after the other.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None or not flow_run.auto_scheduled:
        return
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[flow_run.deployment_id]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=now("UTC")),
    )
    with get_client(sync_client=True) as client:
        missed = [run for run in client.read_flow_runs(flow_run_filter=due) if run.auto_scheduled]
        for run in missed:
            client.set_flow_run_state(run.id, Cancelled(message=f"Missed its time; {flow_run.name} does its work."))
    if missed:
        get_run_logger().info("%d earlier slots of the schedule were missed; this run does their work", len(missed))
