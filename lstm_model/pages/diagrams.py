"""Plots as inline <svg> in the colours of the page, with a text alternative."""

import io
import re

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from lstm_model.evaluation.metrics import calibration_error
from lstm_model.pages.plots import plot_reliability

DIAGRAM_INCHES = (4.6, 5.2)  # Text stays legible on a phone.


def inline_svg(figure: Figure, *, name: str, alt: str) -> Markup:
    """Return the plot as an <svg>. name: prefix that makes its ids unique in the page."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("#000000", "currentColor").replace("#ffffff", "var(--paper)")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px sans-serif", svg)
    label = Markup('<svg role="img" aria-label="{}"').format(alt)
    return Markup(svg.replace("<svg", label, 1).strip())


def draw_diagrams(
    reliability: dict[str, list[float]], uncalibrated: dict[str, list[float]] | None = None
) -> list[tuple[str, str]]:
    """Return the reliability diagrams as pairs of <svg> and caption.

    reliability: the table of the scores as served. uncalibrated: the table before temperature scaling, if it was kept.
    """
    tables = {"scores as served": reliability}
    if uncalibrated is not None:
        tables = {"scores before temperature scaling": uncalibrated, "scores as served, after it": reliability}
    diagrams = []
    for i, (caption, table) in enumerate(tables.items()):
        error = calibration_error(table)
        figure = plot_reliability(table, error)
        figure.set_size_inches(DIAGRAM_INCHES)
        alt = f"Reliability diagram, {caption}: accuracy against confidence; calibration error {error:.3f}."
        diagrams.append((str(inline_svg(figure, name=f"reliability-{i}", alt=alt)), caption))
    return diagrams
