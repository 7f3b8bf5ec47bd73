"""Plots inside a page: as <svg> in the page's own colours, each with what it shows in words."""

import io
import re

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from lstm_model.evaluation.metrics import calibration_error
from lstm_model.pages.plots import plot_reliability

DIAGRAM_INCHES = (4.6, 5.2)  # Letters stay legible on a phone.


def inline_svg(figure: Figure, *, name: str, alt: str) -> Markup:
    """Return the figure as an <svg> in the page's own colours. name: keeps ids apart from those of other figures."""
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
    """Return the reliability diagrams as <svg> for the page, each with what it shows.

    reliability: the table of the scores as served. uncalibrated: that before temperature scaling, where it was kept.
    """
    tables = {"scores as served": reliability}
    if uncalibrated is not None:
        tables = {"scores before temperature scaling": uncalibrated, "scores as served, after it": reliability}
    diagrams: list[tuple[str, str]] = []
    for shown, table in tables.items():
        error = calibration_error(table)
        figure = plot_reliability(table, error)
        figure.set_size_inches(DIAGRAM_INCHES)
        alt = f"Reliability diagram, {shown}: accuracy against confidence; calibration error {error:.3f}."
        diagrams.append((str(inline_svg(figure, name=f"reliability-{len(diagrams)}", alt=alt)), shown))
    return diagrams
