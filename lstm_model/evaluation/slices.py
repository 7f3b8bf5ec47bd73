"""Accuracy of parts of the rows: a good mean can hide that long texts, or one customer's, are answered badly."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import f1_scores

Int = npt.NDArray[np.integer[Any]]
Float = npt.NDArray[np.floating[Any]]

Buckets: TypeAlias = "pd.Categorical[str]"  # The bucket of each row; the categories are in reading order.

LENGTHS = 4
SHOWN_VALUES = 12
SHOWN_CHARACTERS = 60
NONE, OTHER = "(none)", "(other)"


def length_buckets(tokens: Int) -> Buckets:
    """Return the bucket of each row by its tokens: int[N]: about a quarter of the rows each, shortest first.

    [3, 4, 5, 9] -> `3 tokens`, `4 tokens`, `5 tokens`, `6-9 tokens`. Fewer buckets where many rows are alike.
    """
    shares = np.arange(1, LENGTHS + 1) / LENGTHS
    edges = np.unique(np.quantile(tokens, shares, method="inverted_cdf")).astype(np.int64)
    firsts = np.concatenate([[tokens.min()], edges[:-1] + 1])
    names = [
        f"{first:,}-{last:,} tokens" if first < last else f"{last:,} token{'s' if last > 1 else ''}"
        for first, last in zip(firsts, edges, strict=True)
    ]
    return _buckets([names[place] for place in np.searchsorted(edges, tokens)], names)


def unknown_buckets(rates: Float) -> Buckets:
    """Return the bucket of each row by its share of unknown tokens: float[N]: none, and two about as large.

    `none unknown`, `up to 7 % unknown`, `over 7 % unknown`: the middle of the rows that have some, in whole per cent.
    """
    some = rates[rates > 0]
    edge = max(1, round(100 * float(np.median(some)))) if len(some) else 1
    places = np.where(rates <= 0, 0, np.where(rates <= edge / 100, 1, 2))
    names = ["none unknown", f"up to {edge} % unknown", f"over {edge} % unknown"]
    return _buckets([names[place] for place in places], names)


def value_buckets(values: Sequence[str | None]) -> Buckets:
    """Return the bucket of each row by a column's value, the largest first.

    Null and blank values are `(none)`; where there are more than 12 values, those behind the largest are `(other)`.
    """
    names = [_shown(value) for value in values]
    counts = Counter(names)
    largest = sorted(set(counts) - {OTHER}, key=lambda name: (-counts[name], name))
    kept = largest if len(largest) <= SHOWN_VALUES else largest[: SHOWN_VALUES - 1]
    return _buckets([name if name in kept else OTHER for name in names], [*kept, OTHER])


def slice_figures(
    slices: Sequence[tuple[str, Buckets]],
    *,
    label_ids: Int,
    predicted_ids: Int,
    num_classes: int,
    resampling: Resampling,
) -> list[dict[str, Any]]:
    """Return slice, bucket, rows, accuracy, accuracy_interval and macro_f1 of each bucket of each slice, in order.

    label_ids, predicted_ids: int[N]. macro_f1 is the mean F1 of the labels that the bucket's rows have.
    """
    found = []
    for name, buckets in slices:
        for place, bucket in enumerate(buckets.categories):
            rows = buckets.codes == place
            figures = _figures(label_ids[rows], predicted_ids[rows], num_classes, resampling)
            found.append({"slice": name, "bucket": bucket, "rows": int(rows.sum()), **figures})
    return found


def _figures(label_ids: Int, predicted_ids: Int, num_classes: int, resampling: Resampling) -> dict[str, Any]:
    f1 = f1_scores(label_ids=label_ids, predicted_ids=predicted_ids, num_classes=num_classes)
    # Right or wrong is all that accuracy asks: two cells to draw, however many labels.
    wrong = (label_ids != predicted_ids).astype(np.int64)
    drawn = bootstrap(
        label_ids=np.zeros_like(wrong), predictions={"answers": wrong}, num_classes=2, resampling=resampling
    )["answers"]["accuracy"]
    return {
        "accuracy": float(1 - wrong.mean()),
        "accuracy_interval": list(interval(drawn, resampling.confidence)),
        "macro_f1": float(f1[np.unique(label_ids)].mean()),
    }


def _buckets(names: Sequence[str], order: Sequence[str]) -> Buckets:
    """Return the names as categories in this order, those without rows left out."""
    used = set(names)
    return pd.Categorical(list(names), categories=[name for name in dict.fromkeys(order) if name in used])


def _shown(value: str | None) -> str:
    if pd.isna(value) or not str(value).strip():
        return NONE
    text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
