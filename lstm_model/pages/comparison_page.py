"""Two runs side by side, as one HTML page."""

from lstm_model.evaluation.run_comparison import RunComparison
from lstm_model.pages.html import render_page


def render_comparison(compared: RunComparison) -> str:
    """Return a self-contained HTML page."""
    return render_page("comparison.html", compared=compared)
