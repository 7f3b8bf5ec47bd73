"""The report on one training run: a single HTML page with the decision, its reasons, and what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lstm_model.evaluation.record import Evaluation
from lstm_model.pages.diagrams import inline_svg
from lstm_model.pages.findings import confusions, shared_values
from lstm_model.pages.html import metric_text, render_page
from lstm_model.pages.plots import CURVES, plot_curves
from lstm_model.pages.run_facts import RunFacts

SHOWN_CONFUSIONS = 10
MATRIX_LABELS = 30  # A larger confusion matrix is unreadable; only its largest cells are listed.


def render_report(
    evaluation: Evaluation, decision: Mapping[str, Any], run: RunFacts, *, diagrams: Sequence[tuple[str, str]]
) -> str:
    """Return the page. decision: a Decision as JSON. diagrams: from `draw_diagrams`."""
    labels, matrix = evaluation.labels, evaluation.candidate.confusion_matrix
    return render_page(
        "report.html",
        **shared_values(evaluation, decision, run),
        confusions=confusions(matrix, labels, SHOWN_CONFUSIONS),
        matrix=matrix if len(labels) <= MATRIX_LABELS else None,
        diagrams=[(Markup(drawn), caption) for drawn, caption in diagrams],
        curves=[_curve(run, panel) for panel in CURVES if run.epochs],
    )


def _curve(run: RunFacts, panel: str) -> Markup:
    last = [f"{key.replace('_', ' ')} {metric_text(value)}" for key, value in run.epochs[-1].items() if panel in key]
    alt = (
        f"Training curve of {panel} over {len(run.epochs)} epochs; the best is epoch {run.best_epoch}. "
        f"At the end: {', '.join(last)}."
    )
    return inline_svg(plot_curves(run.epochs, run.best_epoch, panel), name=f"curve-{panel}", alt=alt)
