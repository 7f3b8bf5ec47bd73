"""Probabilities as the table that every way of asking answers with: label, score, one column per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True)
class AnswerOptions:
    """How probabilities become answers.

    top_k: 0 for a probability column per class, otherwise how many labels to name, the most probable first.
    threshold: an answer whose score is below it gets abstain_label instead of a label; its score stays.

    Raises ValueError for a value out of range.
    """

    top_k: int = 0
    threshold: float = 0.0
    abstain_label: str = "abstain"

    def __post_init__(self) -> None:
        if self.top_k < 0:
            raise ValueError(f"Expected top_k of 0 or more, found {self.top_k}.")
        if not 0 <= self.threshold <= 1:  # Also refuses NaN.
            raise ValueError(f"Expected a threshold from 0 to 1, found {self.threshold}.")


PLAIN = AnswerOptions()


def probability_columns(labels: Sequence[str]) -> list[str]:
    """Return the name of each class's probability column."""
    return [f"probability_{label}" for label in labels]


def answer_columns(
    probabilities: npt.NDArray[np.float32], labels: Sequence[str], options: AnswerOptions = PLAIN
) -> dict[str, list[Any]]:
    """Return the columns of the answers to N rows of probabilities: float32[N, C].

    label (string) and score (float64, the largest probability); then probability_<label> (float64) for every class, or
    with top_k the lists top_labels and top_scores of min(top_k, C) entries, equal scores in the order of the labels.
    """
    wide = probabilities.astype(np.float64)
    names = np.array(labels, dtype=object)
    best = wide.argmax(axis=1)
    score = wide[np.arange(len(wide)), best]
    label = np.where(score < options.threshold, options.abstain_label, names[best])
    columns: dict[str, list[Any]] = {"label": label.tolist(), "score": score.tolist()}
    if options.top_k:
        order = np.argsort(-wide, axis=1, kind="stable")[:, : options.top_k]
        columns["top_labels"] = names[order].tolist()
        columns["top_scores"] = np.take_along_axis(wide, order, axis=1).tolist()
        return columns
    return columns | dict(zip(probability_columns(labels), wide.T.tolist(), strict=True))


def answer_table(
    probabilities: npt.NDArray[np.float32], labels: Sequence[str], options: AnswerOptions = PLAIN
) -> pd.DataFrame:
    """Return the columns of `answer_columns` as a table, a row for each row of probabilities."""
    columns = answer_columns(probabilities, labels, options)
    floats = {"score", *probability_columns(labels)}
    return pd.DataFrame(
        {name: pd.Series(values, dtype=np.float64 if name in floats else object) for name, values in columns.items()}
    )


def answer_records(
    probabilities: npt.NDArray[np.float32], labels: Sequence[str], options: AnswerOptions = PLAIN
) -> list[dict[str, Any]]:
    """Return the columns of `answer_columns` as a dictionary per row; a server answers a few rows faster so."""
    columns = answer_columns(probabilities, labels, options)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
