"""The report on one training run: a single HTML page that says what was decided, why, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lstm_model.evaluation.record import Evaluation
from lstm_model.pages.diagrams import inline_svg
from lstm_model.pages.findings import against_baseline, confusions, decision_heading, of_calibration, weak_slices
from lstm_model.pages.html import figure_text, render_page
from lstm_model.pages.plots import CURVES, plot_curve
from lstm_model.pages.run_facts import RunFacts, changed_settings

SHOWN_CONFUSIONS = 10
MATRIX_LABELS = 30  # A larger confusion matrix is no longer read; its largest cells are listed.


def render_report(
    evaluation: Evaluation,
    decision: Mapping[str, Any],
    run: RunFacts,
    *,
    diagrams: Sequence[tuple[str, str]],
) -> str:
    """Return the page.

    decision: a Decision as JSON. diagrams: of `draw_diagrams`.
    """
    labels, matrix = evaluation.labels, evaluation.candidate.confusion_matrix
    return render_page(
        "report.html",
        evaluation=evaluation,
        candidate=evaluation.candidate,
        decision=decision,
        heading=decision_heading(decision),
        run=run,
        baseline_finding=against_baseline(evaluation),
        calibration_finding=of_calibration(evaluation.calibration),
        weak=weak_slices(evaluation),
        confusions=confusions(matrix, labels, SHOWN_CONFUSIONS),
        matrix=matrix if len(labels) <= MATRIX_LABELS else None,
        diagrams=[(Markup(drawn), shown) for drawn, shown in diagrams],
        curves=_curves(run),
        best_epoch=_best_epoch(run),
        changed=changed_settings(run.config),
    )


def _curves(run: RunFacts) -> list[Markup]:
    if not run.epochs:
        return []
    best, last = _best_epoch(run), run.epochs[-1]
    curves = []
    for panel in CURVES:
        told = ", ".join(f"{key.replace('_', ' ')} {figure_text(value)}" for key, value in last.items() if panel in key)
        alt = f"Training curve of {panel} over {len(run.epochs)} epochs; the best is epoch {best}. At the end: {told}."
        curves.append(inline_svg(plot_curve(run.epochs, best, panel), name=f"curve-{panel}", alt=alt))
    return curves


def _best_epoch(run: RunFacts) -> int:
    return int(run.metrics.get("best_epoch", len(run.epochs)))
