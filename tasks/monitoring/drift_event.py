"""Emit one event when drift lasts, for an automation that starts a training. One drifted batch may be chance."""

import time
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventIDFilter

from lstm_model.config.drift import DriftConfig
from tasks.monitoring.drift_history import Entry, Event, Kind, Series
from tasks.registry.registered_model import CHAMPION, read_aliases

EVENT = "lstm-text.drift"
NEEDED, OF_LAST = 2, 3
LOST_AFTER = timedelta(minutes=10)  # The process of an older claim that is not sent has died.
DELIVERY_SECONDS = 30.0


def send_if_sustained(series: Series, kind: Kind, config: DriftConfig) -> str | None:
    """Emit the event if drift lasts and no other event blocks it; return what happened, in words.

    None where fewer than two of the last three inputs have drifted.
    """
    lasting = sustained(series.entries(kind))
    if not lasting:
        return None
    found = f"{NEEDED} of the last {OF_LAST} inputs have drifted"
    champion = read_aliases(series.model_name).get(CHAMPION)
    if champion != series.version:
        now = f"version {champion} is" if champion else "there is none"
        return f"{found}; no event: version {series.version} is not the champion ({now})"
    series = series.reread()
    events = series.events()
    last = events[-1] if events else None
    if last and not last.sent and datetime.now(UTC) - last.time > LOST_AFTER:
        return f"{found}; {_send(series, last)}, for a process that died before it could"
    if last and datetime.now(UTC) < (until := last.time + timedelta(days=config.cooldown_days)):
        when = f"{last.time:%Y-%m-%d %H:%M} UTC"
        return f"{found}; no event: the last one is from {when}, the next can follow on {until:%Y-%m-%d %H:%M} UTC"
    payload = {
        "model_name": series.model_name,
        "version": series.version,
        "reason": "drift" if kind == "batch" else kind,
        "batches": [entry.run_id for entry in lasting],
    }
    claimed = series.claim(payload, number=len(events) + 1, by=lasting[0].run_id)
    if claimed is None:
        return f"{found}; no event: another batch that finished at the same time sends it"
    return f"{found}; {_send(series, claimed)}"


def sustained(entries: list[Entry]) -> list[Entry]:
    """Return the drifted of the last three inputs, newest first; none unless there are two and the newest is one.

    entries: newest first. Inputs without a verdict do not count; of one input, only the newest entry counts.
    """
    newest: dict[str, Entry] = {}
    for entry in entries:
        if entry.drifted in ("yes", "no"):
            newest.setdefault(entry.input_digest, entry)
    last = list(newest.values())[:OF_LAST]
    drifted = [entry for entry in last if entry.drifted == "yes"]
    return drifted if len(drifted) >= NEEDED and last[0].drifted == "yes" else []


def _send(series: Series, event: Event) -> str:
    """Emit the event and wait until Prefect's server has it. Sent again, it keeps its id."""
    event_id = uuid5(NAMESPACE_URL, f"{EVENT}/{series.run_id}/{event.key}")
    resource = {"prefect.resource.id": f"lstm-text.model.{series.model_name}", "prefect.resource.name": series.name}
    emit_event(EVENT, resource, payload=event.payload, id=event_id)
    wanted = EventFilter(id=EventIDFilter(id=[event_id]))
    deadline = time.monotonic() + DELIVERY_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            if client.read_events(wanted, limit=1).events:
                series.mark_sent(event)
                return f"event {EVENT} is sent"
            time.sleep(0.2)
    get_run_logger().warning(
        "Prefect's server has not confirmed the event %s; the next drifted batch sends it again.", EVENT
    )
    return f"event {EVENT} is not confirmed by Prefect's server"
