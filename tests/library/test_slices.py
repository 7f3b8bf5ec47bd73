"""Buckets that read well for any data, and what is said of each."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.evaluation.bootstrap import Resampling
from lstm_model.evaluation.slices import length_buckets, slice_metrics, unknown_buckets, value_buckets


def sizes(buckets: pd.Categorical) -> dict[str, int]:
    return {name: int((buckets == name).sum()) for name in buckets.categories}


def test_lengths_fall_into_four_buckets_of_about_equal_size() -> None:
    headlines = np.array([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 40])
    assert sizes(length_buckets(headlines)) == {
        "4-6 tokens": 3, "7-9 tokens": 3, "10-12 tokens": 3, "13-40 tokens": 3,
    }  # fmt: skip


def test_buckets_of_lengths_leave_no_gap_and_thousands_can_be_read() -> None:
    assert list(length_buckets(np.array([100, 200, 1_500, 20_000])).categories) == [
        "100 tokens", "101-200 tokens", "201-1,500 tokens", "1,501-20,000 tokens",
    ]  # fmt: skip


def test_rows_that_are_alike_share_fewer_buckets() -> None:
    assert sizes(length_buckets(np.array([1, 1, 1, 1]))) == {"1 token": 4}
    assert sizes(length_buckets(np.array([80, 256, 256, 256, 256, 256]))) == {"80-256 tokens": 6}


@given(tokens=st.lists(st.integers(1, 5_000), min_size=1, max_size=60))
def test_every_row_is_in_the_bucket_that_its_length_names(tokens: list[int]) -> None:
    for length, name in zip(tokens, length_buckets(np.array(tokens)), strict=True):
        low, _, high = name.removesuffix(" tokens").removesuffix(" token").replace(",", "").partition("-")
        assert int(low) <= length <= int(high or low)


def test_unknown_rates_are_none_or_below_or_above_the_middle() -> None:
    rates = np.array([0.0, 0.0, 0.02, 0.05, 0.2, 1.0])
    assert sizes(unknown_buckets(rates)) == {"none unknown": 2, "up to 12 % unknown": 2, "over 12 % unknown": 2}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.0, 0.0], ["none unknown"]),
        ([0.001, 0.002], ["up to 1 % unknown"]),
        ([1.0, 1.0], ["up to 100 % unknown"]),
    ],
)
def test_buckets_without_rows_are_left_out(rates: list[float], expected: list[str]) -> None:
    assert list(unknown_buckets(np.array(rates)).categories) == expected


def test_values_are_ordered_by_their_rows_and_blank_ones_are_none() -> None:
    buckets = value_buckets(["web", "app", "app", None, "", " ", float("nan")])  # type: ignore[list-item]
    assert sizes(buckets) == {"(none)": 4, "app": 2, "web": 1}


def test_of_very_many_values_the_largest_are_shown() -> None:
    values = [f"customer {n}" for n in range(40)] + ["large"] * 5 + ["(other)"] * 3
    found = sizes(value_buckets(values))
    assert [*found][:2] == ["large", "customer 0"] and [*found][-1] == "(other)"
    assert len(found) == 12 and sum(found.values()) == 48
    assert found["(other)"] == 48 - 5 - 10


def test_a_long_value_is_cut() -> None:
    assert [len(name) for name in value_buckets(["x" * 5_000]).categories] == [60]


def test_a_bucket_s_figures_are_those_of_its_rows() -> None:
    buckets = pd.Categorical(["a", "a", "a", "b"], categories=["b", "a"])
    label_ids, predicted_ids = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])
    found = slice_metrics(
        [("column", buckets)], label_ids=label_ids, predicted_ids=predicted_ids, num_classes=3, resampling=Resampling()
    )
    assert [(row["slice"], row["bucket"], row["rows"]) for row in found] == [("column", "b", 1), ("column", "a", 3)]
    assert (found[0]["accuracy"], found[0]["macro_f1"], found[0]["accuracy_interval"]) == (1.0, 1.0, [1.0, 1.0])
    # Labels 0 and 1 of bucket a: F1 2/3 each; label 2 has no row there and does not count.
    assert (found[1]["accuracy"], found[1]["macro_f1"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    low, high = found[1]["accuracy_interval"]
    assert low == 0.0 and high == 1.0


def test_the_interval_of_many_rows_is_narrow_and_holds_the_accuracy() -> None:
    label_ids = np.zeros(1_000, int)
    predicted_ids = (np.arange(1_000) % 5 == 0).astype(int)
    buckets = pd.Categorical(["all"] * 1_000)
    found = slice_metrics(
        [("x", buckets)], label_ids=label_ids, predicted_ids=predicted_ids, num_classes=2, resampling=Resampling()
    )[0]
    # The normal approximation: 0.8 -+ 1.96 * sqrt(0.8 * 0.2 / 1000).
    assert found["accuracy_interval"] == pytest.approx([0.775, 0.825], abs=0.003)
