"""Labels that look alike are one group; listed labels stay as they are."""

import pytest

from lstm_model.data.labels import describe_alike, find_alike, fold_label, merges


@pytest.mark.parametrize(
    "spellings",
    [
        [
            "school",
            "school ",
            " school",
            "School",
            "SCHOOL",
            "school\xa0",
            "\u3000school",
            "sch\u200bool",
            "\ufeffschool",
        ],
        ["two words", "two  words", "two\u3000words", "Two\twords"],
        ["caf\u00e9", "cafe\u0301", "CAF\u00c9"],
        ["stra\u00dfe", "STRASSE"],
        ["ABC", "\uff21\uff22\uff23"],
        ["1", "1.0", "1.00", "\uff11"],
        ["0.5", "0.50"],
        ["-2", "-2.0"],
    ],
)
def test_spellings_of_one_label_are_alike(spellings: list[str]) -> None:
    assert len({fold_label(label) for label in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "01"), ("1", "10"), ("1", "-1"), ("1.5", "15"), ("a b", "ab"), ("cafe", "caf\u00e9"), ("1.2.0", "1.2")],
)
def test_other_labels_are_not(one: str, other: str) -> None:
    assert fold_label(one) != fold_label(other)


def test_the_most_frequent_spelling_is_kept_and_the_largest_group_comes_first() -> None:
    counts = {"a": 1, "A": 2, "x ": 7, "x": 7, "X": 9, "alone": 5}
    alike = find_alike(counts)
    assert alike == [{"X": 9, "x": 7, "x ": 7}, {"A": 2, "a": 1}]
    assert merges(alike) == {"x": "X", "x ": "X", "a": "A"}
    assert describe_alike(alike) == "'X' (9) and 'x' (7) and 'x ' (7); 'A' (2) and 'a' (1)"


@pytest.mark.parametrize(
    ("counts", "listed", "merged"),
    [
        ({"Polish": 5, "polish": 3}, ("Polish", "polish"), {}),
        ({"School": 9, "school": 2}, ("school",), {"School": "school"}),
        ({"School": 9}, ("school",), {"School": "school"}),
        ({"Polish": 5, "polish": 3, "POLISH": 9}, ("Polish", "polish"), {"POLISH": "Polish"}),
    ],
)
def test_listed_labels_stay_and_others_become_listed_ones(
    counts: dict[str, int], listed: tuple[str, ...], merged: dict[str, str]
) -> None:
    assert merges(find_alike(counts, listed), listed) == merged


def test_many_groups_are_named_by_five_and_a_count() -> None:
    alike = find_alike({spelling: 1 for n in range(8) for spelling in (f"label {n}", f"Label {n}")})
    assert describe_alike(alike).count(";") == 5 and describe_alike(alike).endswith("; and 3 more")
