"""A drift or feedback report: an HTML page, and a Markdown table for the flow run's page in Prefect."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_model.pages.html import render_page

SHOWN_PARTS = 30


def render_drift(found: Mapping[str, Any], facts: Mapping[str, Any], history: Sequence[Any]) -> str:
    """Return the page.

    found: a DriftComparison or a RealAccuracy as JSON. facts: model_name, version, path, number and time of the entry.
    history: entries of the same kind, newest first, each with number, name, time, drifted and metrics.
    """
    statistics = [_shown(statistic) for statistic in found.get("figures", [])]
    return render_page("drift.html", found=found, facts=facts, statistics=statistics, history=history)


def _shown(statistic: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statistic with the parts that moved most, in their order, and the largest share for the bars."""
    moves = [abs(part["batch"] - part["reference"]) for part in statistic["parts"]]
    most = sorted(range(len(moves)), key=lambda place: -moves[place])[:SHOWN_PARTS]
    parts = [statistic["parts"][place] for place in sorted(most)]
    return {
        **statistic,
        "parts": parts,
        "left_out": len(moves) - len(parts),
        "widest": max((max(part["reference"], part["batch"]) for part in parts), default=0.0) or 1.0,
    }


def drift_markdown(found: Mapping[str, Any]) -> str:
    """Return verdict and statistics of a DriftComparison (as JSON) in Markdown."""
    return render_page("drift.md", found=found).rstrip("\n")
