"""Accuracy of parts of the rows: a good mean can hide poor answers to long texts or to one customer's."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lstm_model.arrays import Float, Int
from lstm_model.data.texts import BLANK
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import f1_scores

Buckets: TypeAlias = "pd.Categorical[str]"  # The bucket of each row; the categories are in reading order.

LENGTHS, SHOWN_VALUES, SHOWN_CHARACTERS = 4, 12, 60
NONE, OTHER = "(none)", "(other)"


def length_buckets(tokens: Int) -> Buckets:
    """Return the bucket of each row by its tokens: int[N]: about a quarter of the rows each, shortest first.

    [3, 4, 5, 9] -> `3 tokens`, `4 tokens`, `5 tokens`, `6-9 tokens`. Fewer buckets if many rows have one length.
    """
    shares = np.arange(1, LENGTHS + 1) / LENGTHS
    edges = np.unique(np.quantile(tokens, shares, method="inverted_cdf")).astype(np.int64)
    firsts = [tokens.min(), *edges[:-1] + 1]
    names = [
        f"{first:,}-{last:,} tokens" if first < last else f"{last:,} token{'s' if last > 1 else ''}"
        for first, last in zip(firsts, edges, strict=True)
    ]
    return _buckets(np.searchsorted(edges, tokens), names)


def unknown_buckets(rates: Float) -> Buckets:
    """Return the bucket of each row by its share of unknown tokens, float[N]: none, and two of about equal size.

    `none unknown`, `up to 7 % unknown`, `over 7 % unknown`: the median of the rows that have some, in whole per cent.
    """
    some = rates[rates > 0]
    edge = max(1, round(100 * float(np.median(some)))) if len(some) else 1
    names = ["none unknown", f"up to {edge} % unknown", f"over {edge} % unknown"]
    return _buckets(np.where(rates <= 0, 0, np.where(rates <= edge / 100, 1, 2)), names)


def value_buckets(values: Sequence[str | None]) -> Buckets:
    """Return the bucket of each row by value, the largest first; blank is `(none)`, beyond 12 values is `(other)`."""
    names = [_shown(value) for value in values]
    counts = Counter(names)
    largest = sorted(set(counts) - {OTHER}, key=lambda name: (-counts[name], name))
    kept = largest if len(largest) <= SHOWN_VALUES else largest[: SHOWN_VALUES - 1]
    places = {name: place for place, name in enumerate(kept)}
    return _buckets(np.array([places.get(name, len(kept)) for name in names], dtype=int), [*kept, OTHER])


def slice_metrics(
    slices: Sequence[tuple[str, Buckets]],
    *,
    label_ids: Int,
    predicted_ids: Int,
    num_classes: int,
    resampling: Resampling,
) -> list[dict[str, Any]]:
    """Return a `record.Slice` as a dictionary for each bucket of each slice. label_ids, predicted_ids: int[N]."""
    found = []
    for name, buckets in slices:
        for bucket in buckets.categories:
            given, answers = label_ids[buckets == bucket], predicted_ids[buckets == bucket]
            f1 = f1_scores(label_ids=given, predicted_ids=answers, num_classes=num_classes)
            # Accuracy needs only right or wrong: two cells to draw, for any number of labels.
            wrong = (given != answers).astype(np.int64)
            drawn = bootstrap(label_ids=wrong * 0, predictions={"answers": wrong}, num_classes=2, resampling=resampling)
            metrics = {
                "rows": len(wrong),
                "accuracy": float(1 - wrong.mean()),
                "accuracy_interval": list(interval(drawn["answers"]["accuracy"], resampling.confidence)),
                "macro_f1": float(f1[np.unique(given)].mean()),  # Only of labels in the bucket.
            }
            found.append({"slice": name, "bucket": bucket, **metrics})
    return found


def _buckets(places: Int, names: Sequence[str]) -> Buckets:
    """Return the buckets of rows: int[N] places in names; buckets without rows are left out."""
    return pd.Categorical.from_codes(places.tolist(), pd.Index(names)).remove_unused_categories()


def _shown(value: str | None) -> str:
    if pd.isna(value) or not str(value).strip(BLANK):
        return NONE
    text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
