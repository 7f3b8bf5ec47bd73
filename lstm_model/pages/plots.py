"""Plots as matplotlib Figures, without global state and without a display."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CURVES = {
    "loss": [("train_loss", "train (with dropout)"), ("validation_log_loss", "validation")],
    "accuracy": [("train_accuracy", "train (with dropout)"), ("validation_accuracy", "validation")],
}


def plot_confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> Figure:
    """Draw counts of true label (rows) against predicted label, shaded by the share of the row."""
    counts = np.array(matrix)
    size = min(12.0, 3.5 + 0.6 * len(labels))
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true label's rows", shrink=0.8)
    if len(labels) <= 20:  # With more labels the numbers would overlap.
        for i, j in np.ndindex(counts.shape):
            color = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=color)
    names = [_short(label) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(title="Confusion matrix (test rows)", xlabel="predicted label", ylabel="true label")
    return figure


def plot_per_class(per_class: dict[str, dict[str, float]]) -> Figure:
    """Draw precision, recall and F1 of each label as bars."""
    figure = Figure(figsize=(max(6.0, 1.1 * len(per_class) + 2), 4.5), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(per_class))
    for shift, name in zip((-0.27, 0.0, 0.27), ("precision", "recall", "f1"), strict=True):
        axes.bar(places + shift, [metrics[name] for metrics in per_class.values()], width=0.25, label=name)
    names = [f"{_short(label)}\n({int(metrics['support']):,} rows)" for label, metrics in per_class.items()]
    axes.set_xticks(places, names, rotation=45 if len(names) > 8 else 0)
    axes.set(title="Per class (test rows)", ylim=(0, 1.02), ylabel="metric")
    axes.legend(loc="lower right")
    axes.grid(axis="y", alpha=0.3)
    return figure


def plot_curves(epochs: Sequence[dict[str, float]], best_epoch: int, panel: str | None = None) -> Figure:
    """Draw loss and accuracy after each epoch, on train and validation rows. panel: one of them, for narrow pages."""
    panels = [panel] if panel else list(CURVES)
    figure = Figure(figsize=(4.6, 3.4) if panel else (10, 4), layout="constrained")
    steps = np.arange(1, len(epochs) + 1)
    for axes, title in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for key, name in CURVES[title]:
            axes.plot(steps, [epoch[key] for epoch in epochs], marker="o", label=name)
        axes.axvline(best_epoch, color="grey", linestyle="--", label=f"best epoch {best_epoch}")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        axes.grid(alpha=0.3)
    return figure


def plot_reliability(
    table: dict[str, list[float]], calibration_error: float, *, before: dict[str, list[float]] | None = None
) -> Figure:
    """Draw accuracy against confidence per bin, and the number of rows in each bin.

    table: from `metrics.reliability`. before: the same without the temperature, if there is one.
    """
    figure = Figure(figsize=(5.5, 6.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    rows, confidence, accuracy = (np.array(table[name]) for name in ("rows", "confidence", "accuracy"))
    used, width = rows > 0, 1 / len(rows)
    middles = (np.arange(len(rows)) + 0.5) * width
    upper.bar(middles[used], accuracy[used], width=width, edgecolor="white", label="accuracy of the bin")
    upper.plot(confidence[used], accuracy[used], "o", color="black", label="at its mean confidence")
    if before is not None:
        filled = np.array(before["rows"]) > 0
        points = (np.array(before[name])[filled] for name in ("confidence", "accuracy"))
        upper.plot(*points, "x", color="tab:orange", label="the same without the temperature")
    upper.plot([0, 1], [0, 1], "--", color="grey", label="perfectly calibrated")
    title = f"Reliability (test rows), calibration error {calibration_error:.3f}"
    upper.set(title=title, ylabel="accuracy", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    lower.bar(middles, rows, width=width, edgecolor="white")
    lower.set(xlabel="confidence", ylabel="rows", xlim=(0, 1))
    return figure


def _short(label: str) -> str:
    text = label.replace("$", r"\$")  # A dollar sign would start math text.
    return text if len(text) <= 24 else text[:23] + "…"
