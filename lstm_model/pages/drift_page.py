"""The report on a comparison: a page of its own, and a table for the flow run's page."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_model.pages.html import markdown_text, render_page

TONES = {"drifted": "bad", "stable": "good", "not judged": "warn"}
# Figures that are shares of rows or tokens; the others are plain numbers.
SHARES = ("unknown_words", "words")
SHOWN_ENTRIES = 15
SHOWN_PARTS = 30


def render_drift(found: Mapping[str, Any], facts: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """Return the page.

    found: a DriftComparison or a RealAccuracy as JSON. facts: model_name, version, path, number and time of the entry.
    history: entries of the same kind, newest first, each with number, name, time, drifted and metrics.
    """
    return render_page(
        "drift.html",
        found=found,
        facts=facts,
        tone=TONES[found["verdict"]],
        figures=[_shown(figure) for figure in found.get("figures", [])],
        history=history[:SHOWN_ENTRIES],
    )


def _shown(figure: Mapping[str, Any]) -> dict[str, Any]:
    """Return a figure with what is shown of it: the parts that moved most, in their order, and the widest share."""
    parts = figure["parts"]
    if len(parts) > SHOWN_PARTS:
        least = sorted((abs(part["batch"] - part["reference"]) for part in parts), reverse=True)[SHOWN_PARTS - 1]
        parts = [part for part in parts if abs(part["batch"] - part["reference"]) >= least][:SHOWN_PARTS]
    widest = max((max(part["reference"], part["batch"]) for part in parts), default=0.0)
    return {
        **figure,
        "parts": parts,
        "left_out": len(figure["parts"]) - len(parts),
        "widest": widest or 1.0,
        "is_share": figure["name"] in SHARES,
    }


def drift_markdown(found: Mapping[str, Any]) -> str:
    """Return verdict and figures as Markdown."""
    lines = [f"**{found['verdict']}**: {markdown_text(found['text'], 2_000)}"]
    if found["figures"]:
        lines += ["", "| figure | value | limit | drifted | in words |", "| --- | ---: | ---: | --- | --- |"]
    for figure in found["figures"]:
        cells = [figure["what"], f"{figure['value']:.3f}", f"{figure['threshold']:.3f}"]
        cells += ["yes" if figure["drifted"] else "no", markdown_text(figure["text"], 400)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
