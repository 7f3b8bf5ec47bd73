"""A split by time, as in production: test rows are the newest, validation rows the newest of the rest."""

import numpy as np
import pandas as pd

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import leave_out_copies
from lstm_model.errors import ContentError


def read_times(values: pd.Series) -> pd.Series:
    """Return float64[N] in the order of time, NaN for what is neither: numbers, or ISO dates and timestamps.

    All values are read as numbers if half of them are. Timestamps without a zone are in UTC.
    """
    numbers = pd.to_numeric(values, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    if 2 * numbers.notna().sum() >= len(values):
        return numbers
    dates = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
    return dates.astype("int64").astype("float64").where(dates.notna())


def split_times(
    *, text_digests: pd.Series, labels: pd.Series, times: pd.Series, config: SplitConfig
) -> tuple[pd.Series, int]:
    """Return train, validation or test for each row, and how many rows were left out (`None` there) as copies.

    times: as `read_times` returns them, none missing. Rows of one time stay together: a share is as near to its
    fraction as that allows. Copies of later texts are left out as with a given split.

    Raises ContentError where there are too few times, and for a label without a train row.
    """
    split = pd.Series("train", index=times.index, dtype=object)
    if times.nunique() < 3:
        raise ContentError(
            f"The column {config.time_column!r} has {times.nunique()} different values.",
            "It needs at least 3, one for each split: name another column with --split.time-column.",
        )
    test_from = _boundary(times, config.test_fraction * len(times), left=2)
    validation_from = _boundary(times[times < test_from], config.validation_fraction * len(times), left=1)
    split[times >= validation_from] = "validation"
    split[times >= test_from] = "test"
    left_out = leave_out_copies(split, text_digests)
    if not (split == "validation").any():
        raise ContentError("All validation rows are copies of later texts.", "Raise --split.validation-fraction.")
    if missing := sorted(set(labels) - set(labels[split == "train"])):
        raise ContentError(
            f"Label {missing[0]!r} has no train row: all its rows are newer, or copies of newer texts.",
            "Remove the label, or lower --split.test-fraction and --split.validation-fraction.",
        )
    return split, left_out


def _boundary(times: pd.Series, wanted: float, *, left: int) -> float:
    """Return the time from which on rows come nearest to the wanted count; at least `left` times are earlier."""
    counts = times.value_counts().sort_index(ascending=False)
    newer = counts.cumsum().iloc[: len(counts) - left]
    return float(newer.index.to_numpy()[(newer - wanted).abs().argmin()])
