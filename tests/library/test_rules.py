"""What makes a row acceptable: one fault breaks one rule."""

from pathlib import Path

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig
from lstm_model.data.row_rules import (
    RARE,
    RowRule,
    Sifted,
    derive_columns,
    list_bad_rows,
    rare_labels_error,
    row_rules,
    sift_rows,
)
from lstm_model.data.texts import text_problem

GOOD = [(f"{label}{number}", f"text {number} of {label}", label) for label in "xy" for number in range(4)]


def config(**changes: object) -> DataConfig:
    values = {"labels": None, "min_characters": 2, "max_characters": 40, "split_column": None}
    return DataConfig.model_validate({**values, **changes})


def broken(rows: list[tuple], **changes: object) -> list[tuple[int, str]]:
    """Return (row number from 1, rule) for rows of example_id, text, label and, if given, split."""
    found = sift(rows, **changes)
    listed = pd.concat([found.bad, found.rare])
    return list(listed[["row", "rule"]].itertuples(index=False, name=None))


def sift(rows: list[tuple], **changes: object) -> Sifted:
    frame = rows_of(rows)
    settings = config(split_column="split" if "split" in frame else None, **changes)
    given_validation = "split" in frame and bool((frame["split"] == "validation").any())
    return sift_rows(
        frame, derive_columns(frame, settings), row_rules(settings, given_validation=given_validation), settings
    )


def rows_of(rows: list[tuple]) -> pd.DataFrame:
    names = ["example_id", "text", "label", "split"][: len(rows[0])]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return frame.assign(problem=pd.Series([text_problem(text) for text in frame["text"]], dtype=object))


def test_good_rows_break_no_rule() -> None:
    assert broken(GOOD) == []


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("9", None, "x"), "text_is_text"),
        (("9", "", "x"), "text_is_long_enough"),
        (("9", "  a \n", "x"), "text_is_long_enough"),
        (("9", "\u200b\ufeff\u00ad \u3000", "x"), "text_is_long_enough"),
        (("9", "\u200ba\u200b", "x"), "text_is_long_enough"),
        (("9", "nul \x00 inside", "x"), "text_has_no_nul"),
        (("9", "fine", None), "label_is_given"),
        (("9", "fine", " "), "label_is_given"),
        (("9", "fine", "\u200b\xa0"), "label_is_given"),
        ((None, "fine", "x"), "id_is_given"),
        ((" ", "fine", "x"), "id_is_given"),
        (("9", "fine", "alone"), "label_has_enough_texts"),
    ],
)
def test_one_fault_breaks_one_rule(row: tuple, rule: str) -> None:
    assert broken([*GOOD, row]) == [(9, rule)]


def test_short_and_long_texts_are_kept() -> None:
    assert broken([*GOOD, ("8", "ab", "x"), ("9", "a" * 400, "x")]) == []


def test_texts_that_are_equal_once_they_are_cut_are_equal() -> None:
    assert broken([*GOOD, ("8", "a" * 41, "x"), ("9", "a" * 42, "y")]) == [
        (9, "text_has_one_label"),
        (10, "text_has_one_label"),
    ]


def test_every_row_of_a_repeated_id_is_bad() -> None:
    assert broken([*GOOD, ("x0", "another", "y")]) == [(1, "id_is_unique"), (9, "id_is_unique")]


def test_null_ids_are_no_copies_of_each_other() -> None:
    assert broken([*GOOD, (None, "one", "x"), (None, "two", "x")]) == [(9, "id_is_given"), (10, "id_is_given")]


def test_equal_texts_with_different_labels_are_bad_and_with_equal_labels_only_counted() -> None:
    assert broken([*GOOD, ("8", "text 0 of x", "y")]) == [(1, "text_has_one_label"), (9, "text_has_one_label")]
    assert broken([*GOOD, ("8", "text 0 of x", "x")]) == []


def test_repeated_and_long_texts_are_counted_by_rules_that_stop_nothing() -> None:
    frame = rows_of([("a", "t", "x"), ("b", "t", "x"), ("c", "u" * 41, "x")])
    derived = derive_columns(frame, config())
    counted = {rule.name: rule for rule in row_rules(config()) if not rule.stops}
    assert set(counted) == {"text_is_unique", "text_is_short_enough"}
    assert counted["text_is_unique"].broken(derived).tolist() == [True, True, False]
    assert counted["text_is_short_enough"].broken(derived).tolist() == [False, False, True]


def test_only_listed_labels_are_known_where_labels_are_listed() -> None:
    rows = [*GOOD, *((f"z{number}", f"text {number} of z", "z") for number in range(3))]
    assert broken(rows, labels=("x", "y")) == [(9, "label_is_known"), (10, "label_is_known"), (11, "label_is_known")]
    assert broken(rows, labels=("x", "y", "z", "unused")) == []


def test_a_null_label_is_missing_and_not_unknown() -> None:
    assert broken([*GOOD, ("9", "fine", None)], labels=("x", "y")) == [(9, "label_is_given")]


def test_copies_of_one_text_do_not_make_a_label_large_enough() -> None:
    rows = [*GOOD, *((f"z{number}", "same text", "z") for number in range(5))]
    assert broken(rows) == [(number, "label_has_enough_texts") for number in range(9, 14)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([("b", "train"), ("c", "test"), ("d", "validation")], [], id="one train text, validation given"),
        pytest.param([("b", "train"), ("c", "test")], [1, 2], id="one train text, validation to be carved from it"),
        pytest.param([("a", "train"), ("b", "train"), ("c", "test")], [], id="two train texts, one to be carved"),
        pytest.param([("c", "train"), ("c", "test"), ("d", "validation")], [1, 2, 3], id="train only copies test"),
        pytest.param([("d", "train"), ("c", "test"), ("d", "validation")], [1, 2, 3], id="train copies validation"),
        pytest.param([("c", "test"), ("d", "validation")], [1, 2], id="no train text"),
    ],
)
def test_a_given_split_needs_train_texts_that_no_held_out_row_repeats(
    rows: list[tuple[str, str]], expected: list[int]
) -> None:
    found = broken([(f"{number}", f"text {text}", "x", side) for number, (text, side) in enumerate(rows)])
    assert found == [(number, "label_has_enough_texts") for number in expected]


def test_a_label_that_bad_rows_make_rare_is_named_with_both_counts() -> None:
    rows = [*GOOD, *((f"z{number}", f"text {number} of z", "z") for number in range(3)), ("w", "text 0 of z", "w")]
    found = sift(rows)
    assert found.rare_labels == {"w": (0, 1), "z": (2, 3)}
    assert found.bad["row"].tolist() == [9, 12] and found.rare["row"].tolist() == [10, 11]
    rare = next(rule for rule in row_rules(config()) if rule.name == RARE)
    assert str(rare_labels_error(Path("rows.csv"), found.rare_labels, rare, alike=True)) == (
        "rows.csv has labels with too few different texts: 'w' (0, 1 with bad rows), 'z' (2, 3 with bad rows). "
        "Needed: the label has 3 or more different texts. "
        "Add rows, merge spellings with --data.clean-labels, or leave these labels out with --data.drop-rare-labels."
    )


def test_labels_that_are_not_listed_are_bad_and_not_rare() -> None:
    assert sift([*GOOD, ("z", "text of z", "z")], labels=("x", "y")).rare_labels == {}


def test_a_bad_row_is_listed_with_its_number_id_and_value_in_order() -> None:
    rows = [("a", "", "x"), *GOOD, ("b", None, "x"), ("c", "\0" * 500, "x")]
    assert sift(rows).bad.to_dict("records") == [
        {"row": 1, "example_id": "a", "rule": "text_is_long_enough", "value": "''"},
        {"row": 10, "example_id": "b", "rule": "text_is_text", "value": "null"},
        {"row": 11, "example_id": "c", "rule": "text_has_no_nul", "value": "'" + r"\x00" * 49 + r"\x0"},
    ]


@pytest.mark.parametrize("rows", [[(None, None, None)], [("1", None, "x"), ("2", None, "x")]])
def test_columns_that_hold_nothing_but_null_are_looked_at(rows: list[tuple]) -> None:
    assert (1, "text_is_text") in broken(rows)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2, None, [True, False, False, False]),
        (None, 2, [False, False, True, False]),
        (2, 2, [True, False, True, False]),
    ],
)
def test_a_rule_is_a_range_that_nothing_falls_out_of_where_there_is_nothing(
    low: float | None, high: float | None, expected: list[bool]
) -> None:
    rule = RowRule("name", "column", low, high, "text", "meaning")
    assert rule.broken(pd.DataFrame({"column": [1, 2, 3, None]})).tolist() == expected


def test_a_time_that_cannot_be_read_breaks_a_rule_of_its_own() -> None:
    times = ["2024-01-01", None, "", "yesterday", "2024-02-01T10:00:00+02:00", "2024", "2024-03", "2024-01-32"]
    frame = rows_of(GOOD).assign(time=pd.Series(times, dtype=object))
    rules = row_rules(config(), has_times=True)
    found = list_bad_rows(frame, derive_columns(frame, config()), rules)
    assert [(row, rule) for row, rule in zip(found["row"], found["rule"], strict=True)] == [
        (number, "time_is_readable") for number in (2, 3, 4, 8)
    ]
