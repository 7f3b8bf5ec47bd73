"""Send a message through a Prefect block when a run of this project fails or crashes.

    PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/notify.py slack-webhook/our-channel

Creates the automation "lstm-text: failed runs" on the server, or updates it; a disabled one stays disabled. You can
disable and delete it on Prefect's page Automations. Ctrl-C sends no message.
"""

import argparse

import httpx
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

NAME = "lstm-text: failed runs"
FLOWS = ["train-text-classifier", "tune-text-classifier", "score-texts", "watch-drift"]


def save_automation(block: str) -> bool:
    """Create or update the automation; return whether it is enabled. block: TYPE/NAME of a block that sends messages.

    Raises ValueError if the server has no such block, or if the block cannot send messages.
    """
    kind, _, name = block.partition("/")
    with get_client(sync_client=True) as client:
        try:
            # Without a slash there is no name; no block has the name "-".
            document = client.read_block_document_by_name(name or "-", kind, include_secrets=False)
        except ObjectNotFound:
            raise ValueError(f"The Prefect server has no block {block}. Create it on Prefect's page Blocks.") from None
        known = client.read_automations_by_name(NAME)
    if document.block_schema is None or "notify" not in document.block_schema.capabilities:
        raise ValueError(f"The block {block} cannot send messages. Use one of type Slack Webhook or Custom Webhook.")
    automation = Automation(
        name=NAME,
        enabled=known[0].enabled if known else True,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match={
                "prefect.resource.id": "prefect.flow-run.*",
                "prefect.state-message": "!Execution was aborted by an interrupt signal.*",  # Ctrl-C.
            },
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": FLOWS},
        ),
        actions=[
            SendNotification(
                block_document_id=document.id,
                subject="{{ flow.name }} {{ flow_run.state.name }}: {{ flow_run.name }}",
                body="{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
            )
        ],
    )
    if known:
        automation.id = known[0].id
        automation.update()
    else:
        automation.create()
    return automation.enabled


def main() -> None:
    """Create or update the automation for the block given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("block", help="TYPE/NAME of a block that sends messages")
    block = parser.parse_args().block
    server = PREFECT_API_URL.value()
    if not server:
        parser.error("PREFECT_API_URL is not set. Set it to the address of your Prefect server.")
    try:
        enabled = save_automation(block)
    except ValueError as error:
        parser.error(str(error))
    except httpx.TransportError as error:
        parser.error(f"The Prefect server at {server} does not answer: {error}. Check PREFECT_API_URL.")
    if enabled:
        print(f"Failed and crashed runs send a message through {block}.")
    else:
        print(f"The automation now uses {block} but is disabled. Enable it on Prefect's page Automations.")


if __name__ == "__main__":
    main()
