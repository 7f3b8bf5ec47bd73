"""Rows that annotation tools export, as flat rows: Label Studio, doccano and Prodigy.

- Label Studio, JSON: {"data": {"text": ...}, "annotations": [{"result": [{"from_name": "topic", "value": {"choices":
  ["sport"]}}]}]}. The keys of `data` become columns; the choices become `label`, and a column of the control's name.
- Prodigy: {"text": ..., "accept": ["sport"], "answer": "accept"}, or with "label" instead of "accept".
- doccano: {"text": ..., "label": ["sport"]}, which is flat already.
"""

from typing import Any


def flat_row(row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the row with its labels as `label`, and whether an annotator gave them (True for all other rows)."""
    if isinstance(row.get("annotations"), list) and isinstance(row.get("data"), dict):
        choices = _choices(row["annotations"])
        together = {"label": _unique(choices.values())} if choices else {}
        return {"id": row.get("id"), **row["data"], **choices, **together}, bool(choices)
    if row.get("answer") in ("accept", "reject", "ignore"):
        label = row.get("accept", row.get("label"))
        return {**row, "label": label}, row["answer"] == "accept" and label not in (None, [])
    return row, True


def _choices(annotations: list[Any]) -> dict[str, list[Any]]:
    """Return the choices of each control; those of annotators who agree once."""
    found: dict[str, list[list[Any]]] = {}
    for annotation in annotations:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            results = annotation.get("result")
            for result in results if isinstance(results, list) else ():
                if isinstance(result, dict) and isinstance(value := result.get("value"), dict) and "choices" in value:
                    found.setdefault(str(result.get("from_name")), []).append(value["choices"])
    return {name: _unique(lists) for name, lists in found.items()}


def _unique(lists: Any) -> list[Any]:
    """Return the items of all lists, each once, in order."""
    items = [item for some in lists for item in (some if isinstance(some, list) else [some])]
    return [item for place, item in enumerate(items) if item not in items[:place]]
