"""The model card in the registry: what a version is, for what it is good, and how good it is (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from lstm_model.evaluation.record import Evaluation
from lstm_model.pages.findings import against_baseline, decision_heading, of_calibration, weak_slices
from lstm_model.pages.html import render_page
from lstm_model.pages.run_facts import RunFacts, changed_settings

MAX_CHARACTERS = 5_000  # MLflow's column for a version's description.
SHOWN = (12, 8, 4, 1)  # Labels and settings listed: the most that fit.


def render_model_card(evaluation: Evaluation, decision: Mapping[str, Any], run: RunFacts) -> str:
    """Return the card in Markdown, at most MAX_CHARACTERS long. Arguments as for `report.render_report`."""
    by_f1 = sorted(evaluation.candidate.per_class.items(), key=lambda item: item[1].f1)
    for shown in SHOWN:
        card = render_page(
            "model_card.md",
            evaluation=evaluation,
            candidate=evaluation.candidate,
            decision=decision,
            heading=decision_heading(decision),
            run=run,
            shown=shown,
            classes=list(evaluation.candidate.per_class.items()) if len(by_f1) <= shown else by_f1[:shown],
            max_length=run.config.tokenization.max_length,
            baseline_finding=against_baseline(evaluation),
            calibration_finding=of_calibration(evaluation.calibration),
            weak=weak_slices(evaluation),
            best_epoch=int(run.metrics.get("best_epoch", len(run.epochs))),
            changed=changed_settings(run.config),
        )
        if len(card) <= MAX_CHARACTERS:
            return card
    return card[: MAX_CHARACTERS - 1] + "…"
