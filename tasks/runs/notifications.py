"""What happens when a flow run fails or crashes: a log line, a Prefect event, and the message block if one is named.

A hook, `@flow(on_failure=[tell_failure], on_crashed=[tell_failure])`. Its own troubles are logged and nothing more: the
run's failure is what a person must see.
"""

import os
from typing import Any

from prefect import Flow
from prefect.artifacts import Artifact
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.logging.loggers import flow_run_logger
from prefect.states import State
from pydantic import BaseModel

from tasks.runs.training_run import failure_reason, prefect_url

EVENT = "lstm-text.run-failed"
VARIABLE = "LSTM_TEXT_NOTIFY_BLOCK"


class Failure(BaseModel):
    """The event's payload, and what a message is made of."""

    model_name: str
    flow: str
    flow_run: str
    state: str
    reason: str
    flow_run_url: str
    mlflow_run_url: str | None

    @property
    def subject(self) -> str:
        return f"{self.flow} {self.state.lower()}: {self.flow_run}"

    @property
    def body(self) -> str:
        links = [self.flow_run_url, *([self.mlflow_run_url] if self.mlflow_run_url else [])]
        return "\n".join([f"Model {self.model_name}: {self.reason}", *links])


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell that a flow run failed. Ctrl-C is no failure: who pressed it knows."""
    error = _error(state)
    if isinstance(error, KeyboardInterrupt):
        return
    logger = flow_run_logger(flow_run, flow)
    name, mlflow_run_url = _as_prefect_knows(flow_run)
    failure = Failure(
        model_name=model_name(flow_run.parameters),
        flow=flow.name,
        flow_run=name,
        state=state.name or "",
        reason=failure_reason(error) if error else state.message or "unknown",
        flow_run_url=prefect_url(str(flow_run.id)),
        mlflow_run_url=mlflow_run_url,
    )
    logger.error("%s; %s", failure.subject, failure.reason)
    for tell in (_emit, _send):
        try:
            tell(failure, flow_run)
        except Exception as trouble:  # noqa: BLE001  whatever a block or a server may raise
            logger.warning("%s failed: %s: %s", tell.__doc__, type(trouble).__name__, trouble)


def model_name(parameters: dict[str, Any]) -> str:
    """Return the registered model that a run is about: its section `registration`, or its model_uri."""
    registration = parameters.get("registration")
    if registration is not None:
        name = registration.get("model_name") if isinstance(registration, dict) else registration.model_name
        return str(name or "text-classifier")
    uri = str(parameters.get("model_uri", "models:/text-classifier"))
    return uri.removeprefix("models:/").split("@")[0].split("/")[0]


def _emit(failure: Failure, flow_run: FlowRun) -> None:
    """The event lstm-text.run-failed"""
    emit_event(
        EVENT,
        resource={"prefect.resource.id": f"lstm-text.model.{failure.model_name}"},
        related=[{"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}],
        payload=failure.model_dump(),
    )


def _send(failure: Failure, flow_run: FlowRun) -> None:
    """The message by the block that LSTM_TEXT_NOTIFY_BLOCK names"""
    name = os.environ.get(VARIABLE)
    if not name:
        return
    import prefect.blocks.notifications  # noqa: F401  Registers Slack, e-mail and the like.

    block = Block.load(name)
    if not isinstance(block, NotificationBlock):
        raise TypeError(f"expected a block that sends messages, found {name}, a {type(block).__name__}")
    with block.raise_on_failure():
        block.notify(failure.body, failure.subject)


def _error(state: State[Any]) -> BaseException | None:
    """Return the flow's exception; None where it left none, because its process died."""
    try:
        result = state.result(raise_on_failure=False)
    except Exception:  # noqa: BLE001  no result was kept
        return None
    return result if isinstance(result, BaseException) and not isinstance(result, PrefectException) else None


def _as_prefect_knows(flow_run: FlowRun) -> tuple[str, str | None]:
    """Return the run's name, which a worker that tells of a crash has from before the start, and its MLflow page.

    Prefect is asked for the latter too: MLflow may be what failed.
    """
    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]), key=ArtifactFilterKey(any_=["mlflow-run"])
    )
    try:
        with get_client(sync_client=True) as client:
            links: list[Artifact] = client.read_artifacts(artifact_filter=wanted)
            link = str(links[0].data).rpartition("](")[2].rstrip(")") if links else None
            return client.read_flow_run(flow_run.id).name, link
    except Exception:  # noqa: BLE001  neither is worth a failure
        return flow_run.name, None
