"""The model card in the registry: what a version is, what it is good for, and how good it is (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from lstm_model.evaluation.record import Evaluation
from lstm_model.pages.findings import shared_values
from lstm_model.pages.html import render_page
from lstm_model.pages.run_facts import RunFacts

MAX_CHARACTERS = 5_000  # MLflow's column for a version's description.
SHOWN = (12, 8, 4, 1)  # Labels and settings listed: the most that fit.


def render_model_card(evaluation: Evaluation, decision: Mapping[str, Any], run: RunFacts) -> str:
    """Return the card in Markdown, at most MAX_CHARACTERS long. decision: a Decision as JSON."""
    values = shared_values(evaluation, decision, run)
    classes = list(evaluation.candidate.per_class.items())
    by_f1 = sorted(classes, key=lambda item: item[1].f1)
    for shown in SHOWN:
        listed = classes if len(classes) <= shown else by_f1[:shown]
        card = render_page("model_card.md", **values, shown=shown, classes=listed)
        if len(card) <= MAX_CHARACTERS:
            return card
    return card[: MAX_CHARACTERS - 1] + "…"
