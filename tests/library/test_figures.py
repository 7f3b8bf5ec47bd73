"""Figures hold what they are given, and can be drawn and saved without a display."""

import io

import pytest
from matplotlib.figure import Figure

from lstm_model.pages.plots import plot_confusion, plot_curves, plot_per_class, plot_reliability


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def words(figure: Figure) -> list[str]:
    """Return the texts inside the first axes and its tick labels."""
    axes = figure.axes[0]
    ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    return [text.get_text() for text in (*axes.texts, *ticks)]


def test_a_confusion_matrix_shows_counts_and_labels() -> None:
    figure = plot_confusion([[1_200, 3], [0, 0]], ["cat", "dog"])
    assert words(figure)[:4] == ["1,200", "3", "0", "0"]
    assert words(figure)[4:] == ["cat", "dog", "cat", "dog"]
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("label", ["$x^2", "a$b$c", "100 %", "under_score", "x" * 200, "", r"\frac"])
def test_any_label_can_be_drawn(label: str) -> None:
    assert png(plot_confusion([[1, 0], [0, 1]], [label, "other"])).startswith(b"\x89PNG")
    figures = {"precision": 1.0, "recall": 0.5, "f1": 0.7, "support": 3}
    assert png(plot_per_class({label: figures, "other": figures})).startswith(b"\x89PNG")


def test_a_large_confusion_matrix_leaves_the_numbers_out() -> None:
    labels = [f"label {number}" for number in range(21)]
    figure = plot_confusion([[1] * 21 for _ in range(21)], labels)
    assert list(figure.axes[0].texts) == []


def test_bars_per_class_are_as_high_as_the_figures() -> None:
    figure = plot_per_class(
        {
            "cat": {"precision": 0.1, "recall": 0.2, "f1": 0.3, "support": 1_500},
            "dog": {"precision": 0.4, "recall": 0.5, "f1": 0.6, "support": 1},
        }
    )
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [0.1, 0.4, 0.2, 0.5, 0.3, 0.6]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["cat\n(1,500 rows)", "dog\n(1 rows)"]


@pytest.mark.parametrize("epochs", [1, 3])
def test_curves_show_every_epoch_and_mark_the_best(epochs: int) -> None:
    keys = ("train_loss", "train_accuracy", "validation_log_loss", "validation_accuracy")
    figure = plot_curves([dict.fromkeys(keys, 0.5 + epoch / 10) for epoch in range(epochs)], best_epoch=1)
    for axes in figure.axes:
        train, validation, best = axes.get_lines()
        expected = [0.5 + epoch / 10 for epoch in range(epochs)]
        assert list(train.get_ydata()) == list(validation.get_ydata()) == expected
        assert list(train.get_xdata()) == list(range(1, epochs + 1))
        assert best.get_label() == "best epoch 1"
    assert png(figure).startswith(b"\x89PNG")


def test_a_reliability_diagram_shows_used_bins_only() -> None:
    table = {"rows": [0.0, 0.0, 2.0, 8.0], "confidence": [0.0, 0.0, 0.7, 0.9], "accuracy": [0.0, 0.0, 0.5, 1.0]}
    figure = plot_reliability(table, 0.12)
    upper, lower = figure.axes
    assert [bar.get_height() for bar in upper.patches] == [0.5, 1.0]
    assert [bar.get_height() for bar in lower.patches] == [0, 0, 2, 8]
    assert "0.120" in upper.get_title()
    assert png(figure).startswith(b"\x89PNG")


def test_a_reliability_diagram_shows_what_the_temperature_changed() -> None:
    after = {"rows": [0.0, 10.0], "confidence": [0.0, 0.8], "accuracy": [0.0, 0.8]}
    before = {"rows": [4.0, 6.0], "confidence": [0.45, 0.95], "accuracy": [0.75, 0.83]}
    drawn = [
        line
        for line in plot_reliability(after, 0.0, before=before).axes[0].get_lines()
        if "without" in line.get_label()
    ]
    assert [list(line.get_xdata()) for line in drawn] == [[0.45, 0.95]]
    assert [list(line.get_ydata()) for line in drawn] == [[0.75, 0.83]]
