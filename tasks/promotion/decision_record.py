"""Decisions on champions: one at a time, recorded in MLflow and never changed. `lstm-text history` reads them.

A decision is recorded twice: whole as the artifact decisions/<id>.json of the run that made the version, and shortened
as the tag `decision.<time>-<id>` of the version. Both are written before an alias moves, so no alias moves without a
record; `lstm-text history` reports a record whose move is missing.
"""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import mlflow
from pydantic import BaseModel

from lstm_model.digests import digest_text
from lstm_model.evaluation.champion_comparison import ChampionComparison
from lstm_model.evaluation.gate_rules import Rule
from tasks.registry.registered_model import CHAMPION, PREVIOUS, list_versions
from tasks.runtime.locks import Check, hold, shared_lock
from tasks.runtime.provenance import current_user
from tasks.runtime.retries import mlflow_client

WAIT_SECONDS = 600.0
POLL_SECONDS = 0.3
TAG = "decision."
TAG_TEXT = 1_000  # Characters of a reason in a tag, which holds 5,000 in all.
Kind = Literal["promoted", "rejected", "unchanged", "forced", "rolled_back"]
PHRASES: dict[Kind, str] = {
    "promoted": "is the champion",
    "rejected": "is not promoted",
    "unchanged": "leaves the champion as it is",
    "forced": "is the champion, forced",
    "rolled_back": "is the champion again",
}


class Decision(BaseModel, frozen=True):
    """A decision on a version: why, on which metrics, by whom, and which version is champion after it."""

    decision_id: str
    time: str
    kind: Kind
    promoted: bool
    reason: str  # The gate's; for `forced` and `rolled_back` the person's.
    note: str | None = None  # The reason that a person gave.
    model_name: str
    version: str
    champion_before: str | None
    champion_version: str | None
    rules: list[Rule] = []
    comparison: ChampionComparison | None = None
    servability: dict[str, Any] | None = None
    trigger: str
    flow_run_id: str | None = None
    run_id: str | None
    user: str

    @property
    def tag(self) -> str:
        """The key of the tag; sorted keys are in the order of time."""
        return f"{TAG}{datetime.fromisoformat(self.time):%Y%m%dT%H%M%S.%fZ}-{self.decision_id}"

    @property
    def summary(self) -> str:
        """The decision and its reason, as the rest of a sentence that starts with the version."""
        return f"{PHRASES[self.kind]}: {self.reason}"

    @property
    def moves(self) -> bool:
        return self.champion_version != self.champion_before


def decision_lock(model_name: str) -> AbstractContextManager[Check]:
    """Hold the lock on decisions on a model, so the champion cannot change between reading it and moving its alias.

    The block gets a check that raises ModelError if the lock was lost. Raises ModelError if another process holds it
    for longer than WAIT_SECONDS, and UsageError if it needs a Prefect server and none is named.
    """
    lock = shared_lock(mlflow.get_registry_uri(), f"decisions-{digest_text(model_name)[:16]}")
    refusal = f"Another process has been deciding on {model_name} for {WAIT_SECONDS:.0f} s"
    return hold(lock, seconds=WAIT_SECONDS, poll_seconds=POLL_SECONDS, refusal=refusal)


def new_decision(
    *, kind: Kind, version: str, champion_before: str | None, run_id: str | None, flow_run_id: str | None = None,
    **others: Any,
) -> Decision:  # fmt: skip
    """Return a decision made now, by this user."""
    return Decision(
        # A flow run decides once: what it repeats after a crash overwrites its own artifact.
        decision_id=digest_text(f"{run_id} {version}")[:12] if flow_run_id else uuid4().hex[:12],
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        promoted=kind in ("promoted", "forced"),
        champion_version=champion_before if kind in ("rejected", "unchanged") else version,
        user=current_user(),
        kind=kind, version=version, champion_before=champion_before, run_id=run_id, flow_run_id=flow_run_id, **others,
    )  # fmt: skip


def carry_out(decision: Decision, still_held: Check) -> None:
    """Record the decision, then move the aliases. After a crash it can run again and ends the same.

    still_held: raises if the lock on decisions was lost; then no alias moves.
    A crash between the two aliases leaves `previous` on the champion, and a rollback then refuses. In the other order
    `previous` would be one version too old, and a rollback would skip a version.
    """
    still_held()
    client = mlflow_client()
    if decision.run_id:
        client.log_dict(decision.run_id, decision.model_dump(mode="json"), f"decisions/{decision.decision_id}.json")
    short = {"decision": decision.kind, "decision_reason": decision.reason[:TAG_TEXT]}
    for key, value in {decision.tag: _tag_value(decision), **short}.items():
        client.set_model_version_tag(decision.model_name, decision.version, key, value)
    if decision.moves:
        moves = [(PREVIOUS, decision.champion_before), (CHAMPION, decision.champion_version)]
        still_held()
        for alias, version in reversed(moves) if decision.kind == "rolled_back" else moves:
            if version is not None:
                client.set_registered_model_alias(decision.model_name, alias, version)
    if decision.run_id:
        for key, value in short.items():
            client.set_tag(decision.run_id, key, value)


def read_decisions(name: str) -> list[dict[str, Any]]:
    """Return the decisions on a model as their tags hold them, oldest first: without rules and metrics per class."""
    tags = {key: value for version in list_versions(name) for key, value in version.tags.items() if key.startswith(TAG)}
    return [json.loads(tags[key]) for key in sorted(tags)]


def _tag_value(decision: Decision) -> str:
    """Return the decision as JSON that fits a tag: long texts cut; of rules and metrics only what the table shows."""
    content = decision.model_dump(mode="json", exclude={"rules", "comparison", "servability"})
    content |= {key: content[key][:TAG_TEXT] for key in ("reason", "note") if content[key]}
    content["failed"] = [rule.name for rule in decision.rules if rule.verdict == "failed"]
    if compared := decision.comparison:
        content["macro_f1"] = compared.candidate.macro_f1
        content["champion_macro_f1"] = compared.champion.macro_f1
        content["difference"] = {"macro_f1": compared.difference.macro_f1, "interval": compared.difference.interval}
        content["compared_rows"] = compared.rows
    else:
        content["macro_f1"] = next((rule.figure for rule in decision.rules if rule.name == "macro_f1_floor"), None)
    return json.dumps(content, ensure_ascii=False)
