"""Decisions as tables for the terminal, and whether the aliases are where the last one put them."""

from typing import Any

from lstm_model.evaluation.gate_rules import Rule
from tasks.promotion.decision_record import read_decisions
from tasks.registry.registered_model import CANDIDATE, CHAMPION, PREVIOUS, read_aliases
from tasks.runtime.artifacts import plain_table

HEADER = [
    "time (UTC)", "decision", "version", "champion", "macro-F1", "champion's", "difference", "trigger", "user", "reason"
]  # fmt: skip


def read_history(name: str) -> dict[str, Any]:
    """Return model_name, aliases, decisions (oldest first) and note (what does not match, or None).

    Raises ModelError if the registry has no such model.
    """
    aliases, decisions, note = read_aliases(name), read_decisions(name), None
    if decisions and decisions[-1]["champion_version"] != aliases.get(CHAMPION):
        note = (
            f"The last decision leaves version {decisions[-1]['champion_version'] or 'none'} as champion, but it is "
            f"{aliases.get(CHAMPION, 'none')}: the decision was interrupted, or someone moved the alias another way. "
            "To fix it, run lstm-text promote VERSION --reason ..."
        )
    return {"model_name": name, "aliases": aliases, "decisions": decisions, "note": note}


def history_text(history: dict[str, Any]) -> str:
    """Return the table for the terminal, oldest decision first, and below it the current aliases."""
    name, decisions, aliases = history["model_name"], history["decisions"], history["aliases"]
    current = ", ".join(f"{alias} {aliases.get(alias, 'none')}" for alias in (CHAMPION, PREVIOUS, CANDIDATE))
    lines = [f"{name} now: {current}"] + ([history["note"]] if history["note"] else [])
    if not decisions:
        return "\n".join([f"No decision on {name} is recorded.", *lines])
    table = plain_table(HEADER, [_row(decision) for decision in decisions])
    return "\n".join([f"{len(decisions)} decisions on {name}, oldest first", "", table, "", *lines])


def _row(decision: dict[str, Any]) -> list[str]:
    before, after = decision["champion_before"] or "none", decision["champion_version"] or "none"
    reason, note, difference = decision["reason"], decision["note"], decision.get("difference")
    macro_f1 = [decision.get("macro_f1"), decision.get("champion_macro_f1")]
    return [
        decision["time"][:19].replace("T", " "),
        decision["kind"],
        decision["version"],
        after if before == after else f"{before} -> {after}",
        *("-" if value is None else f"{value:.4f}" for value in macro_f1),
        "{:+.4f} ({:+.4f} to {:+.4f})".format(difference["macro_f1"], *difference["interval"]) if difference else "-",
        decision["trigger"],
        decision["user"],
        " ".join((reason if note in (None, reason) else f"{reason} [{note}]").split()),
    ]


def rules_table(rules: list[Rule]) -> str:
    return plain_table(["rule", "verdict", "found"], [[rule.name, rule.verdict, rule.text] for rule in rules])
