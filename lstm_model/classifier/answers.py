"""Probabilities -> answers: label, score and one column per class, the same for every way to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.arrays import Float32


@dataclass(frozen=True)
class AnswerOptions:
    """How probabilities become answers. Raises ValueError for a value out of range."""

    top_k: int = 0  # How many labels to list, the most probable first; 0: a probability column per class.
    threshold: float = 0.0  # An answer with a lower score gets abstain_label instead of its label.
    abstain_label: str = "abstain"

    def __post_init__(self) -> None:
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 or more.")
        if not 0 <= self.threshold <= 1:  # Also rejects NaN.
            raise ValueError(f"threshold is {self.threshold}; it must be from 0 to 1.")


PLAIN = AnswerOptions()


def probability_columns(labels: Sequence[str]) -> list[str]:
    """Return the name of each class's probability column."""
    return [f"probability_{label}" for label in labels]


def answer_columns(
    probabilities: Float32, labels: Sequence[str], options: AnswerOptions = PLAIN
) -> dict[str, list[Any]]:
    """Return the answers to probabilities: float32[N, C] by column.

    label (string) and score (float64, the largest probability); then probability_<label> (float64) for every class, or
    with top_k the lists top_labels and top_scores of min(top_k, C) entries, equal scores in the order of the labels.
    """
    wide, names = probabilities.astype(np.float64), np.array(labels, dtype=object)
    score = wide.max(axis=1)
    label = np.where(score < options.threshold, options.abstain_label, names[wide.argmax(axis=1)])
    columns: dict[str, list[Any]] = {"label": label.tolist(), "score": score.tolist()}
    if not options.top_k:
        return columns | dict(zip(probability_columns(labels), wide.T.tolist(), strict=True))
    order = np.argsort(-wide, axis=1, kind="stable")[:, : options.top_k]
    top_scores = np.take_along_axis(wide, order, axis=1)
    return columns | {"top_labels": names[order].tolist(), "top_scores": top_scores.tolist()}


def answer_table(probabilities: Float32, labels: Sequence[str], options: AnswerOptions = PLAIN) -> pd.DataFrame:
    """Return `answer_columns` as a table with one row per answer."""
    table = pd.DataFrame(answer_columns(probabilities, labels, options), dtype=object)
    return table.astype({name: np.float64 for name in table if name in {"score", *probability_columns(labels)}})


def answer_records(
    probabilities: Float32, labels: Sequence[str], options: AnswerOptions = PLAIN
) -> list[dict[str, Any]]:
    """Return `answer_columns` as one dictionary per row, which is faster than a table for a few rows."""
    columns = answer_columns(probabilities, labels, options)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
