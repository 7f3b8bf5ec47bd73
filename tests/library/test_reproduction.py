"""Two runs compared item by item, to the last bit."""

import pandas as pd
import pytest

from lstm_model.evaluation.reproduction import compare_tables, compare_values

NEXT = 0.30000000000000004  # The float after 0.3.


def test_equal_values_are_counted() -> None:
    item = compare_values("metrics", recorded={"a": 0.5, "b": 1.0}, found={"b": 1.0, "a": 0.5}, what="test metrics")
    assert item.equal and item.recorded == item.found == "2 test metrics"


def test_the_last_bit_counts_and_names_the_value() -> None:
    item = compare_values("metrics", recorded={"a": 0.3, "b": 1.0}, found={"a": NEXT, "b": 1.0}, what="test metrics")
    assert not item.equal and (item.recorded, item.found) == ("a 0.3", "a 0.30000000000000004")


def test_a_value_that_only_one_run_has_is_a_difference() -> None:
    item = compare_values("settings", recorded={"model.lstm_units": "4"}, found={}, what="settings")
    assert not item.equal and item.found == "model.lstm_units missing"


def test_of_many_differences_the_first_are_named_and_the_rest_counted() -> None:
    recorded = {f"m{n}": float(n) for n in range(8)}
    item = compare_values("metrics", recorded=recorded, found={}, what="test metrics")
    assert item.recorded == "m0 0.0, m1 1.0, m2 2.0, m3 3.0, m4 4.0 and 3 more"


def predictions(**columns: list[object]) -> pd.DataFrame:
    table = {"example_id": ["r1", "r2"], "predicted": ["cat", "owl"], "score": [0.3, 0.9]}
    return pd.DataFrame({**table, **columns})


def test_equal_tables_have_one_digest() -> None:
    nan = {"slice": ["a", None]}
    item = compare_tables("predictions", recorded=predictions(**nan), found=predictions(**nan))
    assert item.equal and item.recorded == item.found and len(item.recorded) == 64


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"score": [NEXT, 0.9]}, "score in 1 rows (the first: 0.30000000000000004)"),
        ({"predicted": ["dog", "cat"]}, "predicted in 2 rows (the first: dog)"),
        ({"example_id": ["r2", "r1"]}, "example_id in 2 rows (the first: r2)"),
        ({"score": [0.3, float("nan")]}, "score in 1 rows (the first: nan)"),
        ({"more": [1, 2]}, "2 rows of example_id, predicted, score, more"),
    ],
)
def test_what_differs_in_a_table_is_named(changed: dict[str, list[object]], words: str) -> None:
    item = compare_tables("predictions", recorded=predictions(), found=predictions(**changed))
    assert not item.equal and item.found == words
