"""Two runs beside each other, on the test rows that both have: figures, what is beyond chance, and where they part.

A difference is always A's figure less B's.
"""

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_model.classifier.answers import probability_columns
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import classification_metrics, ids_of

FIGURES = ("macro_f1", "accuracy", "log_loss", "calibration_error")
CALIBRATION_BINS = 15
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowCounts:
    """Which test rows can be compared, and why others cannot."""

    a: int
    b: int
    in_both: int
    trained_on: int
    """Of in_both: in the train or validation part of A or of B, so left out."""
    relabelled: int
    """Of in_both: labelled otherwise in A's data than in B's, so left out."""
    compared: int
    a_rows_trained_on_by_b: int
    b_rows_trained_on_by_a: int


@dataclass(frozen=True)
class RunComparison:
    """All that is told of two runs. a, b: what identifies them. The lists are as the functions below return them."""

    a: dict[str, Any]
    b: dict[str, Any]
    params: list[tuple[str, str | None, str | None]]
    recorded: list[tuple[str, float | None, float | None]]
    rows: RowCounts
    manifests_found: bool
    confidence: float
    figures: list[dict[str, Any]]
    per_class: list[dict[str, Any]]
    agreement: dict[str, int]
    only_a_right: list[dict[str, Any]]
    only_b_right: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def verdict(self) -> str:
        """Say whether one of them is better."""
        macro_f1 = self.figures[0]
        if not macro_f1["beyond_chance"]:
            return "Neither is better beyond chance."
        return f"{'A' if macro_f1['difference'] > 0 else 'B'} is better beyond chance."


def match_rows(
    a: pd.DataFrame, b: pd.DataFrame, *, trained_on_by_a: Set[str], trained_on_by_b: Set[str]
) -> tuple[pd.DataFrame, pd.DataFrame, RowCounts]:
    """Return the rows that A and B can be compared on, one below the other in the same order, and how many there are.

    a, b: test predictions with text_digest and label. Equal texts are matched copy by copy. trained_on_by_a,
    trained_on_by_b: text digests of the rows that A and B were trained or tuned on.
    """
    sides = [rows.assign(copy=rows.groupby("text_digest").cumcount(), place=range(len(rows))) for rows in (a, b)]
    keys = [rows[["text_digest", "copy", "label", "place"]] for rows in sides]
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
    matched = (rows.iloc[fair[place]].reset_index(drop=True) for rows, place in ((a, "place_a"), (b, "place_b")))
    return next(matched), next(matched), counts


def compare_figures(
    a: pd.DataFrame, b: pd.DataFrame, labels: Sequence[str], resampling: Resampling
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the figures of matched rows, and the F1 of each label: a, b, difference, intervals, beyond_chance.

    A difference is beyond chance where its interval, paired over the rows, leaves out 0. Log loss and calibration error
    have no interval (None).
    """
    label_ids = ids_of(a["label"], labels)
    predicted = {"a": ids_of(a["predicted"], labels), "b": ids_of(b["predicted"], labels)}
    drawn = bootstrap(label_ids=label_ids, predictions=predicted, num_classes=len(labels), resampling=resampling)
    judged = {
        name: classification_metrics(
            label_ids=label_ids,
            probabilities=rows[probability_columns(list(labels))].to_numpy(np.float64),
            labels=labels,
            calibration_bins=CALIBRATION_BINS,
        )
        for name, rows in (("a", a), ("b", b))
    }

    sure = resampling.confidence
    figures = [
        _beside(name, [judged[who][name] for who in "ab"], [drawn[who].get(name) for who in "ab"], sure)
        for name in FIGURES
    ]
    per_class = []
    for i, label in enumerate(labels):
        ours = [judged[who]["per_class"][label]["f1"] for who in "ab"]
        row = _beside(label, ours, [drawn[who]["f1"][:, i] for who in "ab"], sure)
        per_class.append({**row, "rows": judged["a"]["per_class"][label]["support"]})
    return figures, per_class


def _beside(name: str, figures: list[float], draws: list[Float | None], confidence: float) -> dict[str, Any]:
    """Return one figure of A and B; draws: what resampled rows give for each, float64[R], or None."""
    row: dict[str, Any] = {"name": name, "a": figures[0], "b": figures[1], "difference": figures[0] - figures[1]}
    ours, theirs = draws
    if ours is None or theirs is None:
        return row | dict.fromkeys(("a_interval", "b_interval", "interval", "beyond_chance"))
    low, high = interval(ours - theirs, confidence)
    return row | {
        "a_interval": interval(ours, confidence),
        "b_interval": interval(theirs, confidence),
        "interval": (low, high),
        "beyond_chance": not low <= 0 <= high,
    }


def compare_answers(
    a: pd.DataFrame, b: pd.DataFrame, *, shown: int
) -> tuple[dict[str, int], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return how often both, one or neither of them is right, and the rows that only A and only B answers right.

    Of these at most shown rows each, those first whose wrong answer is the most confident.
    """
    right_a, right_b = a["predicted"] == a["label"], b["predicted"] == b["label"]
    counts = {
        "both_right": int((right_a & right_b).sum()),
        "only_a_right": int((right_a & ~right_b).sum()),
        "only_b_right": int((~right_a & right_b).sum()),
        "neither_right": int((~right_a & ~right_b).sum()),
    }
    table = a[["text", "label"]]
    only_a = table.assign(predicted=b["predicted"], score=b["score"], score_of_right=a["score"])[right_a & ~right_b]
    only_b = table.assign(predicted=a["predicted"], score=a["score"], score_of_right=b["score"])[~right_a & right_b]
    return counts, _most_confident(only_a, shown), _most_confident(only_b, shown)


def _most_confident(rows: pd.DataFrame, shown: int) -> list[dict[str, Any]]:
    first = rows.sort_values("score", ascending=False, kind="stable").head(shown)
    return [{str(name): value for name, value in row.items()} for row in first.to_dict("records")]
