"""The report on one training run, a single HTML page, and its short form in the registry, the model card.

Both have the decision, its reasons, and how good the version is; the card is after Mitchell et al. 2019.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lstm_model.config.pipeline import PipelineConfig, flatten
from lstm_model.evaluation.record import Evaluation
from lstm_model.pages import findings
from lstm_model.pages.diagrams import inline_svg
from lstm_model.pages.findings import Finding
from lstm_model.pages.html import metric_text, render_page
from lstm_model.pages.plots import CURVES, plot_curves

MATRIX_LABELS = 30  # A larger confusion matrix is unreadable; only its largest cells are listed.
MAX_CHARACTERS = 5_000  # MLflow's column for a version's description.
LISTED = (12, 8, 4, 1)  # Labels and settings on the card: the most that fit.
HEADINGS = {
    "promoted": Finding("good", "Became champion"),
    "rejected": Finding("bad", "Not promoted"),
    "unchanged": Finding("plain", "Nothing changed"),
    "forced": Finding("warn", "Promoted by force"),
    "rolled_back": Finding("warn", "Rolled back to"),
}


@dataclass(frozen=True)
class RunFacts:
    """What is said about a run besides its evaluation: as its tracking server knows it, and the packages it ran with.

    url: its page there. epochs: the metrics after each epoch, from 1.
    """

    run_id: str
    name: str
    url: str
    started: str
    config: PipelineConfig
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    epochs: list[dict[str, float]]
    packages: Mapping[str, str]

    @property
    def flow_url(self) -> str | None:
        """The address of the flow run's page, if a page may link to it."""
        url = self.tags.get("prefect.flow_run_url", "")
        return url if url.startswith(("http://", "https://")) else None

    @property
    def best_epoch(self) -> int:
        return int(self.metrics.get("best_epoch", len(self.epochs)))

    def metrics_below(self, prefix: str) -> dict[str, float]:
        """Return the metrics with this prefix, without it: rows.* are counts of rows, seconds.* times of stages."""
        return {key.removeprefix(prefix): value for key, value in self.metrics.items() if key.startswith(prefix)}

    @property
    def changed_settings(self) -> list[tuple[str, str, str]]:
        """Name, value and default of the settings that differ from the defaults."""
        defaults = flatten(PipelineConfig())
        given = flatten(self.config).items()
        return [(name, str(value), str(defaults[name])) for name, value in given if value != defaults[name]]


def render_report(
    evaluation: Evaluation, decision: Mapping[str, Any], run: RunFacts, *, diagrams: Sequence[tuple[str, str]]
) -> str:
    """Return the page. decision: a Decision as JSON. diagrams: from `draw_diagrams`."""
    labels, matrix = evaluation.labels, evaluation.candidate.confusion_matrix
    return render_page(
        "report.html",
        **_shared_values(evaluation, decision, run),
        confusions=findings.confusions(matrix, labels),
        matrix=matrix if len(labels) <= MATRIX_LABELS else None,
        diagrams=[(Markup(drawn), caption) for drawn, caption in diagrams],
        curves=[_curve(run, panel) for panel in CURVES if run.epochs],
    )


def render_model_card(evaluation: Evaluation, decision: Mapping[str, Any], run: RunFacts) -> str:
    """Return the card in Markdown, at most MAX_CHARACTERS long. decision: a Decision as JSON."""
    values = _shared_values(evaluation, decision, run)
    classes = list(evaluation.candidate.per_class.items())
    by_f1 = sorted(classes, key=lambda item: item[1].f1)
    for shown in LISTED:
        listed = classes if len(classes) <= shown else by_f1[:shown]
        card = render_page("model_card.md", **values, shown=shown, classes=listed)
        if len(card) <= MAX_CHARACTERS:
            return card
    return card[: MAX_CHARACTERS - 1] + "…"


def _shared_values(evaluation: Evaluation, decision: Mapping[str, Any], run: RunFacts) -> dict[str, Any]:
    return {
        "evaluation": evaluation,
        "candidate": evaluation.candidate,
        "decision": decision,
        "heading": HEADINGS[decision["kind"]],
        "run": run,
        "baseline_finding": findings.against_baseline(evaluation),
        "calibration_finding": findings.of_calibration(evaluation.calibration),
        "parts_finding": findings.of_parts(evaluation),
        "coverage_finding": findings.of_coverage(evaluation.coverage),
        "weak": findings.weak_slices(evaluation),
    }


def _curve(run: RunFacts, panel: str) -> Markup:
    last = [f"{key.replace('_', ' ')} {metric_text(value)}" for key, value in run.epochs[-1].items() if panel in key]
    alt = (
        f"Training curve of {panel} over {len(run.epochs)} epochs; the best is epoch {run.best_epoch}. "
        f"At the end: {', '.join(last)}."
    )
    return inline_svg(plot_curves(run.epochs, run.best_epoch, panel), name=f"curve-{panel}", alt=alt)
