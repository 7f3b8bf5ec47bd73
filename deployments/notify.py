"""Send a message through a Prefect block whenever a run of this project fails or crashes.

    PREFECT_API_URL=... .venv/bin/python deployments/notify.py slack-webhook/our-channel

Creates or updates the automation "lstm-text: failed runs", which Prefect's page Automations shows, turns off and
deletes. Ctrl-C sends no message.
"""

import sys

from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture

NAME = "lstm-text: failed runs"
FLOWS = ["train-text-classifier", "tune-text-classifier", "score-texts", "watch-drift"]


def save_automation(block: str) -> Automation:
    """Create or update the automation. block: type and name of a block that sends messages, with a slash between.

    Raises ValueError where there is no such block.
    """
    import prefect.blocks.notifications  # noqa: F401  Registers Slack, e-mail and the like.

    block_id = Block.load(block)._block_document_id
    assert block_id is not None
    wanted = Automation(
        name=NAME,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match={
                "prefect.resource.id": "prefect.flow-run.*",
                "prefect.state-message": "!Execution was aborted by an interrupt signal.*",
            },
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": FLOWS},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            SendNotification(
                block_document_id=block_id,
                subject="{{ flow.name }} {{ flow_run.state.name }}: {{ flow_run.name }}",
                body="{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
            )
        ],
    )
    try:
        known = Automation.read(name=NAME)
    except ValueError:
        return wanted.create()
    wanted.id = known.id
    wanted.update()
    return wanted


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: notify.py BLOCK, such as slack-webhook/our-channel. Save one on Prefect's page Blocks.")
    try:
        save_automation(sys.argv[1])
    except ValueError as error:
        sys.exit(f"{error}. Save the block on Prefect's page Blocks, then run this again.")
    print(f"Failed and crashed runs send a message through {sys.argv[1]}.")
