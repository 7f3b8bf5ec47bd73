"""Probabilities as the table that every way of asking answers with: label, score, one column per class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd


def probability_columns(labels: Sequence[str]) -> list[str]:
    """Return the name of each class's probability column."""
    return [f"probability_{label}" for label in labels]


def answer_table(probabilities: npt.NDArray[np.float32], labels: Sequence[str]) -> pd.DataFrame:
    """Return label (string), score (its probability) and probability_<label> for every class, N rows, float64."""
    best = probabilities.argmax(axis=1)
    wide = probabilities.astype(np.float64)
    table = {
        "label": pd.Series(np.array(labels, dtype=object)[best], dtype=object),
        "score": wide[np.arange(len(wide)), best],
        **{name: wide[:, i] for i, name in enumerate(probability_columns(labels))},
    }
    return pd.DataFrame(table)
