"""What makes a row acceptable: one fault breaks one rule."""

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig
from lstm_model.data.row_rules import (
    RowRule,
    derive_columns,
    list_bad_rows,
    missing_columns,
    missing_slice_column,
    row_rules,
    wanted_columns,
)
from lstm_model.data.texts import text_problem

GOOD = [(f"{label}{number}", f"text {number} of {label}", label) for label in "xy" for number in range(3)]


def config(**changes: object) -> DataConfig:
    values = {"labels": None, "min_characters": 2, "max_characters": 40, "split_column": None}
    return DataConfig.model_validate({**values, **changes})


def broken(rows: list[tuple], **changes: object) -> list[tuple[int, str]]:
    """Return (row number from 1, rule) for rows of example_id, text, label and, if given, split."""
    return list(bad_rows(rows, **changes)[["row", "rule"]].itertuples(index=False, name=None))


def bad_rows(rows: list[tuple], **changes: object) -> pd.DataFrame:
    names = ["example_id", "text", "label", "split"][: len(rows[0])]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame["problem"] = pd.Series([text_problem(text) for text in frame["text"]], dtype=object)
    settings = config(split_column="split" if "split" in names else None, **changes)
    given_validation = "split" in names and bool((frame["split"] == "validation").any())
    return list_bad_rows(frame, derive_columns(frame, settings), row_rules(settings, given_validation=given_validation))


def test_good_rows_break_no_rule() -> None:
    assert broken(GOOD) == []


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("9", None, "x"), "text_is_text"),
        (("9", "", "x"), "text_is_long_enough"),
        (("9", "  a \n", "x"), "text_is_long_enough"),
        (("9", "a" * 41, "x"), "text_is_short_enough"),
        (("9", "nul \x00 inside", "x"), "text_has_no_nul"),
        (("9", "fine", None), "label_is_given"),
        (("9", "fine", " "), "label_is_given"),
        ((None, "fine", "x"), "id_is_given"),
        ((" ", "fine", "x"), "id_is_given"),
        (("9", "fine", "alone"), "label_has_enough_texts"),
    ],
)
def test_one_fault_breaks_one_rule(row: tuple, rule: str) -> None:
    found = [(number, name) for number, name in broken([*GOOD, row]) if name != "label_has_enough_texts"]
    if rule == "label_has_enough_texts":
        found = broken([*GOOD, row])
    assert found == [(7, rule)]


def test_texts_at_the_limits_are_kept() -> None:
    assert broken([*GOOD, ("8", "ab", "x"), ("9", "a" * 40, "x")]) == []


def test_every_row_of_a_repeated_id_is_bad() -> None:
    assert broken([*GOOD, ("x0", "another", "y")]) == [(1, "id_is_unique"), (7, "id_is_unique")]


def test_null_ids_are_no_copies_of_each_other() -> None:
    assert broken([*GOOD, (None, "one", "x"), (None, "two", "x")]) == [(7, "id_is_given"), (8, "id_is_given")]


def test_equal_texts_with_different_labels_are_bad_and_with_equal_labels_only_counted() -> None:
    assert broken([*GOOD, ("8", "text 0 of x", "y")]) == [(1, "text_has_one_label"), (7, "text_has_one_label")]
    assert broken([*GOOD, ("8", "text 0 of x", "x")]) == []


def test_repeated_texts_are_counted_by_a_rule_that_stops_nothing() -> None:
    frame = pd.DataFrame({"example_id": list("abc"), "text": ["t", "t", "u"], "label": ["x"] * 3}, dtype=object)
    frame["problem"] = pd.Series([None] * 3, dtype=object)
    derived = derive_columns(frame, config())
    [rule] = [rule for rule in row_rules(config(), given_validation=False) if not rule.stops]
    assert rule.name == "text_is_unique"
    assert rule.broken(derived).tolist() == [True, True, False]


def test_only_listed_labels_are_known_where_labels_are_listed() -> None:
    rows = [*GOOD, *((f"z{number}", f"text {number} of z", "z") for number in range(3))]
    assert broken(rows, labels=("x", "y")) == [(7, "label_is_known"), (8, "label_is_known"), (9, "label_is_known")]
    assert broken(rows, labels=("x", "y", "z", "unused")) == []


def test_a_null_label_is_missing_and_not_unknown() -> None:
    assert broken([*GOOD, ("9", "fine", None)], labels=("x", "y")) == [(7, "label_is_given")]


def test_copies_of_one_text_do_not_make_a_label_large_enough() -> None:
    rows = [*GOOD, *((f"z{number}", "same text", "z") for number in range(5))]
    assert broken(rows) == [(number, "label_has_enough_texts") for number in range(7, 12)]


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


def test_a_bad_row_is_listed_with_its_number_id_and_value_in_order() -> None:
    rows = [("a", "", "x"), *GOOD, ("b", None, "x"), ("c", "y" * 500, "x")]
    found = bad_rows(rows, max_characters=450)
    assert found.to_dict("records") == [
        {"row": 1, "example_id": "a", "rule": "text_is_long_enough", "value": "''"},
        {"row": 8, "example_id": "b", "rule": "text_is_text", "value": "null"},
        {"row": 9, "example_id": "c", "rule": "text_is_short_enough", "value": "'" + "y" * 199},
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


def test_a_missing_column_is_named_with_the_flag_that_fixes_it() -> None:
    settings = config(path="rows.csv", text_column="body", label_column="label", id_column="key")
    assert wanted_columns(settings) == {"text": "body", "label": "label", "example_id": "key"}
    message = str(missing_columns(settings, ["label", "content"]))
    assert message == (
        "rows.csv needs the columns 'body', 'label', 'key' (found: 'label', 'content'). "
        "Name the right column with --data.text-column and --data.id-column."
    )


def test_a_missing_slice_column_is_named_with_its_flag() -> None:
    assert str(missing_slice_column(config(path="rows.csv"), "source", ["text", "label"])) == (
        "rows.csv has no column 'source' (found: 'text', 'label'). "
        "Name a column of the file with --evaluation.slice-column, or leave it out."
    )
