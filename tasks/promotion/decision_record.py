"""Decisions on champions, written down in MLflow and never changed: what `lstm-text history` reads.

A decision is two things: the artifact decisions/<id>.json in the run that made the version, with everything; and the
tag `decision.<time>-<id>` on the version, with what fits. Both are written before an alias moves, so no alias moves
without a record; a record whose move is missing is told by `lstm-text history`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import mlflow
from pydantic import BaseModel, ConfigDict

from lstm_model.digests import digest_text
from lstm_model.evaluation.champion_comparison import ChampionComparison
from lstm_model.evaluation.gate_rules import Rule
from tasks.registry.aliases import CHAMPION, PREVIOUS, list_versions
from tasks.runtime.provenance import current_user
from tasks.runtime.retries import mlflow_client

TAG = "decision."
TAG_TEXT = 1_000  # Characters of a reason in a tag, which holds 5,000 in all.
Kind = Literal["promoted", "rejected", "unchanged", "forced", "rolled_back"]


class Decision(BaseModel):
    """What was decided on a version, why, on which figures, by whom, and where the alias `champion` is after it.

    reason: the gate's, or for `forced` and `rolled_back` that of the person. note: what a person gave as reason.
    """

    model_config = ConfigDict(frozen=True)

    decision_id: str
    time: str
    kind: Kind
    promoted: bool
    reason: str
    note: str | None = None
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
        """The key of the tag: sorted, keys are in the order of time."""
        return f"{TAG}{datetime.fromisoformat(self.time):%Y%m%dT%H%M%S.%fZ}-{self.decision_id}"

    @property
    def told(self) -> str:
        """What was decided and why, to follow the version's name."""
        verbs = {
            "promoted": "is the champion",
            "rejected": "is not promoted",
            "unchanged": "leaves the champion as it is",
            "forced": "is the champion, forced",
            "rolled_back": "is the champion again",
        }
        return f"{verbs[self.kind]}: {self.reason}"

    @property
    def moves(self) -> bool:
        return self.champion_version != self.champion_before


def new_decision(
    *,
    kind: Kind,
    version: str,
    champion_before: str | None,
    run_id: str | None,
    flow_run_id: str | None = None,
    **others: Any,
) -> Decision:
    """Return a decision made now, by this user.

    A flow decides once in a run: its decision has an id of run and version, so that one made again after a crash takes
    the place of what was written of it.
    """
    moves = kind in ("promoted", "forced", "rolled_back")
    return Decision(
        decision_id=digest_text(f"{run_id} {version}")[:12] if flow_run_id else uuid4().hex[:12],
        run_id=run_id,
        flow_run_id=flow_run_id,
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        kind=kind,
        promoted=kind in ("promoted", "forced"),
        version=version,
        champion_before=champion_before,
        champion_version=version if moves else champion_before,
        user=current_user(),
        **others,
    )


def carry_out(decision: Decision, still_held: Callable[[], None]) -> None:
    """Write the decision down, then move the aliases; done again after a crash, it ends the same.

    still_held: raises where the lock on decisions was lost; then no alias moves.

    A crash in between leaves `previous` on the champion itself, never on a version older than the one before it: a
    rollback then refuses, where the other order would have it skip a version.
    """
    still_held()
    client = mlflow_client()
    if decision.run_id:
        client.log_dict(decision.run_id, decision.model_dump(mode="json"), f"decisions/{decision.decision_id}.json")
    tags = {decision.tag: _compact(decision), "decision": decision.kind, "decision_reason": decision.reason[:TAG_TEXT]}
    for key, value in tags.items():
        client.set_model_version_tag(decision.model_name, decision.version, key, value)
    if decision.moves:
        moves = {PREVIOUS: decision.champion_before, CHAMPION: decision.champion_version}
        order = [CHAMPION, PREVIOUS] if decision.kind == "rolled_back" else [PREVIOUS, CHAMPION]
        still_held()
        for alias in order:
            if (version := moves[alias]) is not None:
                client.set_registered_model_alias(decision.model_name, alias, version)
    if decision.run_id:
        for key in ("decision", "decision_reason"):
            client.set_tag(decision.run_id, key, tags[key])


def read_decisions(name: str) -> list[dict[str, Any]]:
    """Return the decisions on a model, oldest first, as their tags tell: everything but rules and figures by class."""
    found: dict[str, str] = {}
    for version in list_versions(name):
        found |= {key: value for key, value in version.tags.items() if key.startswith(TAG)}
    return [json.loads(found[key]) for key in sorted(found)]


def find_decision(name: str, version: str, run_id: str) -> Decision | None:
    """Return the decision, all of it, that the flow of this run has written down on the version; None without one."""
    for told in reversed(read_decisions(name)):
        if (told["version"], told["run_id"]) == (version, run_id) and told["flow_run_id"]:
            whole = f"runs:/{run_id}/decisions/{told['decision_id']}.json"
            return Decision.model_validate(mlflow.artifacts.load_dict(whole))
    return None


def _compact(decision: Decision) -> str:
    """Return the decision as JSON that fits a tag: long texts cut, of rules and figures only what the table shows."""
    told = decision.model_dump(mode="json", exclude={"rules", "comparison", "servability"})
    for key in ("reason", "note"):
        told[key] = told[key][:TAG_TEXT] if told[key] else told[key]
    told["failed"] = [rule.name for rule in decision.rules if rule.verdict == "failed"]
    if decision.comparison:
        difference = decision.comparison.difference
        told["macro_f1"] = decision.comparison.candidate.macro_f1
        told["champion_macro_f1"] = decision.comparison.champion.macro_f1
        told["difference"] = {"macro_f1": difference.macro_f1, "interval": difference.interval}
        told["compared_rows"] = decision.comparison.rows
    else:
        figures = {rule.name: rule.figure for rule in decision.rules}
        told["macro_f1"] = figures.get("macro_f1_floor")
    return json.dumps(told, ensure_ascii=False)
