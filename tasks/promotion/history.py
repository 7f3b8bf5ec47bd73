"""The decisions on a model as a table, and whether the aliases are where the last one left them."""

from typing import Any

from tasks.promotion.decision_record import read_decisions
from tasks.registry.aliases import CANDIDATE, CHAMPION, PREVIOUS, read_aliases
from tasks.runtime.artifacts import plain_table

HEADER = [
    "time (UTC)",
    "decision",
    "version",
    "champion",
    "macro-F1",
    "champion's",
    "difference",
    "trigger",
    "user",
    "reason",
]


def read_history(name: str) -> dict[str, Any]:
    """Return model_name, aliases, decisions (oldest first) and note (None, or what does not fit together).

    Raises ModelError where the registry has no such model.
    """
    aliases, decisions = read_aliases(name), read_decisions(name)
    return {"model_name": name, "aliases": aliases, "decisions": decisions, "note": _mismatch(aliases, decisions)}


def history_text(history: dict[str, Any]) -> str:
    """Return the table for the terminal, oldest decision first, and below it the aliases as they are now."""
    name, decisions, aliases = history["model_name"], history["decisions"], history["aliases"]
    known = ", ".join(f"{alias} {aliases.get(alias, 'none')}" for alias in (CHAMPION, PREVIOUS, CANDIDATE))
    lines = [f"{name} now: {known}"] + ([history["note"]] if history["note"] else [])
    if not decisions:
        return "\n".join([f"No decision on {name} is recorded.", *lines])
    table = plain_table(HEADER, [_row(decision) for decision in decisions])
    return "\n".join([f"{len(decisions)} decisions on {name}, oldest first", "", table, "", *lines])


def _row(told: dict[str, Any]) -> list[str]:
    before, after = told["champion_before"] or "none", told["champion_version"] or "none"
    note = told["note"]
    reason = told["reason"] if note in (None, told["reason"]) else f"{told['reason']} [{note}]"
    difference = told.get("difference")
    return [
        told["time"][:19].replace("T", " "),
        told["kind"],
        told["version"],
        after if before == after else f"{before} -> {after}",
        _figure(told.get("macro_f1")),
        _figure(told.get("champion_macro_f1")),
        "{:+.4f} ({:+.4f} to {:+.4f})".format(difference["macro_f1"], *difference["interval"]) if difference else "-",
        told["trigger"],
        told["user"],
        " ".join(reason.split()),
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mismatch(aliases: dict[str, str], decisions: list[dict[str, Any]]) -> str | None:
    if not decisions or decisions[-1]["champion_version"] == aliases.get(CHAMPION):
        return None
    said = decisions[-1]["champion_version"] or "none"
    return (
        f"The last decision leaves version {said} as champion, but it is {aliases.get(CHAMPION, 'none')}: the decision "
        "was interrupted, or someone moved the alias otherwise. lstm-text promote VERSION --reason ... settles it."
    )
