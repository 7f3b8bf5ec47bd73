"""Test is the newest part, validation the newest of the rest; times that are equal stay together."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import SPLITS, read_times, split_times
from lstm_model.errors import ContentError

CONFIG = SplitConfig(test_fraction=0.2, validation_fraction=0.1, seed=42, time_column="date")


def split(times: list[float], *, texts: list[str] | None = None, labels: str = "") -> tuple[list[str | None], int]:
    digests = pd.Series(texts or [f"text {n}" for n in range(len(times))])
    names = pd.Series(list(labels) or ["x"] * len(times))
    sides = split_times(text_digests=digests, labels=names, times=pd.Series(times), config=CONFIG)
    return sides.tolist(), sides.isna().sum()


@given(times=st.lists(st.integers(0, 30), min_size=3, max_size=80))
def test_no_train_row_is_newer_than_validation_and_no_validation_row_newer_than_test(times: list[int]) -> None:
    assume(len(set(times)) >= 3)
    sides, left_out = split(times)
    train, validation, test = ([t for t, side in zip(times, sides, strict=True) if side == name] for name in SPLITS)
    assert max(train) < min(validation) <= max(validation) < min(test)
    assert left_out == 0


def test_different_times_are_split_to_the_row() -> None:
    sides, _ = split([(n * 37) % 100 for n in range(100)])
    assert [sides.count(name) for name in SPLITS] == [70, 10, 20]


def test_rows_of_one_time_go_to_the_nearer_side() -> None:
    sides, _ = split([1] * 6 + [2] + [3] * 3)
    assert sides == ["train"] * 6 + ["validation"] + ["test"] * 3
    sides, _ = split([1, 2, 3] + [4] * 7)
    assert sides == ["train", "train", "validation"] + ["test"] * 7


def test_copies_of_newer_texts_are_left_out_and_counted() -> None:
    texts = ["in test", "in validation", *"cdefg", "in validation", "in test", "j"]
    sides, left_out = split(list(range(10)), texts=texts)
    assert (sides, left_out) == ([None, None, *["train"] * 5, "validation", "test", "test"], 2)


@pytest.mark.parametrize(
    ("times", "labels", "texts", "message"),
    [
        ([1, 1, 2, 2], "xxxx", None, "'date' has 2 different values"),
        ([1, 2, 3, 4, 5], "xxxxy", None, "Label 'y' has no train row"),
        ([1, 2, 3, 4, 5], "xxxyy", ["a", "b", "c", "d", "d"], "All validation rows are copies"),
        ([1, 2, 3, 4, 5], "yxxxy", ["d", "b", "c", "e", "d"], "Label 'y' has no train row"),
    ],
)
def test_what_cannot_be_split_is_refused(
    times: list[float], labels: str, texts: list[str] | None, message: str
) -> None:
    with pytest.raises(ContentError, match=message):
        split(times, labels=labels, texts=texts)


@pytest.mark.parametrize(
    "values",
    [
        ["1999", "2000.5", "1e4"],
        ["-1", "0", "1"],
        ["2024", "2024-02", "2024-02-03", "2024-02-03 04", "2024-02-03T04:05", "2024-02-03 04:05:06.7"],
        ["2024-02-03T04:05:06+02:00", "2024-02-03T04:05:06", "2024-02-03T04:05:06-02:00", "2024-02-03T07:00:00Z"],
        [str(date(1890, 1, 1) + timedelta(days=1000 * n)) for n in range(100)],
    ],
)
def test_numbers_and_iso_times_are_read_in_order(values: list[str]) -> None:
    assert read_times(pd.Series(values[::-1])).is_monotonic_decreasing
    assert read_times(pd.Series(values)).is_unique


def test_what_is_no_time_is_not_a_number() -> None:
    values = ["2024-01-01", "03/02/2024", "2024-13-01", None, "", "inf", "soon", "12"]
    assert read_times(pd.Series(values, dtype=object)).notna().tolist() == [True] + [False] * 7
    values = ["1", "2", "nan", "inf", "2024-01-01", None, "3", "4"]
    assert read_times(pd.Series(values, dtype=object)).notna().tolist() == [v in ("1", "2", "3", "4") for v in values]
