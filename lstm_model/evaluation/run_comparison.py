"""Compares two runs on the test rows of both; a difference is A - B, beyond chance if its interval excludes 0."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.arrays import Float64
from lstm_model.classifier.answers import probability_columns
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import classification_metrics, ids_of

METRICS = ("macro_f1", "accuracy", "log_loss", "calibration_error")
CALIBRATION_BINS = 15
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class RowCounts:
    """Test rows of A and B. Left out of in_both: trained_on (by A or B) and relabelled (A and B have other labels)."""

    a: int
    b: int
    in_both: int
    trained_on: int
    relabelled: int
    compared: int
    a_rows_trained_on_by_b: int
    b_rows_trained_on_by_a: int


@dataclass(frozen=True)
class RunComparison:
    a: dict[str, Any]  # How to identify the run.
    b: dict[str, Any]
    params: list[tuple[str, str | None, str | None]]
    recorded: list[tuple[str, float | None, float | None]]
    rows: RowCounts
    manifests_found: bool
    confidence: float
    figures: Rows
    per_class: Rows
    agreement: dict[str, int]
    only_a_right: Rows
    only_b_right: Rows

    @property
    def verdict(self) -> str:
        macro_f1 = self.figures[0]
        if not macro_f1["beyond_chance"]:
            return "Neither is better beyond chance."
        return f"{'A' if macro_f1['difference'] > 0 else 'B'} is better beyond chance."


def match_rows(
    a: pd.DataFrame, b: pd.DataFrame, *, trained_on_by_a: Set[str], trained_on_by_b: Set[str]
) -> tuple[pd.DataFrame, pd.DataFrame, RowCounts]:
    """Return the rows on which A and B can be compared, in the same order, and the counts of rows.

    a, b: test predictions with text_digest and label. Equal texts are matched copy by copy. trained_on_by_a,
    trained_on_by_b: text digests of the rows that A and B were trained or tuned on.
    """
    keys = [
        rows[["text_digest", "label"]].assign(copy=rows.groupby("text_digest").cumcount(), place=range(len(rows)))
        for rows in (a, b)
    ]
    pairs = keys[0].merge(keys[1], on=["text_digest", "copy"], suffixes=("_a", "_b"))
    trained_on = pairs["text_digest"].isin(trained_on_by_a | trained_on_by_b)
    relabelled = ~trained_on & (pairs["label_a"] != pairs["label_b"])
    fair = pairs[~trained_on & ~relabelled]
    counts = RowCounts(
        a=len(a),
        b=len(b),
        in_both=len(pairs),
        trained_on=int(trained_on.sum()),
        relabelled=int(relabelled.sum()),
        compared=len(fair),
        a_rows_trained_on_by_b=int(a["text_digest"].isin(trained_on_by_b).sum()),
        b_rows_trained_on_by_a=int(b["text_digest"].isin(trained_on_by_a).sum()),
    )
    return a.iloc[fair["place_a"]].reset_index(drop=True), b.iloc[fair["place_b"]].reset_index(drop=True), counts


def compare_metrics(
    a: pd.DataFrame, b: pd.DataFrame, labels: Sequence[str], resampling: Resampling
) -> tuple[Rows, Rows]:
    """Return the metrics of matched rows, and the F1 of each label; log loss and calibration error lack an interval."""
    label_ids = ids_of(a["label"], labels)
    predicted = {"a": ids_of(a["predicted"], labels), "b": ids_of(b["predicted"], labels)}
    drawn = bootstrap(label_ids=label_ids, predictions=predicted, num_classes=len(labels), resampling=resampling)
    metrics_a, metrics_b = (
        classification_metrics(
            label_ids=label_ids,
            probabilities=rows[probability_columns(labels)].to_numpy(np.float64),
            labels=labels,
            calibration_bins=CALIBRATION_BINS,
        )
        for rows in (a, b)
    )
    figures = []
    for name in METRICS:
        draws = [drawn[who].get(name) for who in "ab"]
        figures.append(_compared(name, (metrics_a[name], metrics_b[name]), draws, resampling))
    per_class = []
    for i, label in enumerate(labels):
        ours, theirs = metrics_a["per_class"][label], metrics_b["per_class"][label]
        row = _compared(label, (ours["f1"], theirs["f1"]), [drawn[who]["f1"][:, i] for who in "ab"], resampling)
        per_class.append({**row, "rows": ours["support"]})
    return figures, per_class


def _compared(
    name: str, values: tuple[float, float], draws: Sequence[Float64 | None], resampling: Resampling
) -> dict[str, Any]:
    """draws: the metric's resampled values float64[R] of A and of B, or None."""
    row: dict[str, Any] = {"name": name, "a": values[0], "b": values[1], "difference": values[0] - values[1]}
    ours, theirs = draws
    if ours is None or theirs is None:
        return row | dict.fromkeys(("a_interval", "b_interval", "interval", "beyond_chance"))
    a, b, difference = (interval(drawn, resampling.confidence) for drawn in (ours, theirs, ours - theirs))
    beyond_chance = not difference[0] <= 0 <= difference[1]
    return row | {"a_interval": a, "b_interval": b, "interval": difference, "beyond_chance": beyond_chance}


def compare_answers(a: pd.DataFrame, b: pd.DataFrame, *, shown: int) -> tuple[dict[str, int], Rows, Rows]:
    """Return how often both, one or neither is right, and up to `shown` rows each that only A and only B gets right."""
    right_a, right_b = a["predicted"] == a["label"], b["predicted"] == b["label"]
    groups = {
        "both_right": right_a & right_b,
        "only_a_right": right_a & ~right_b,
        "only_b_right": ~right_a & right_b,
        "neither_right": ~right_a & ~right_b,
    }
    counts = {name: int(rows.sum()) for name, rows in groups.items()}
    only_a = _most_confident(b, a["score"], groups["only_a_right"], shown)
    return counts, only_a, _most_confident(a, b["score"], groups["only_b_right"], shown)


def _most_confident(wrong: pd.DataFrame, right_score: pd.Series, rows: pd.Series, shown: int) -> Rows:
    table = wrong[["text", "label", "predicted", "score"]].assign(score_of_right=right_score)[rows]
    first = table.sort_values("score", ascending=False, kind="stable").head(shown)
    return [{str(name): value for name, value in row.items()} for row in first.to_dict("records")]
