"""Train, validation and test rows: stratified, equal texts on one side, whatever the order of the rows."""

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import SPLITS, honour_given_split, name_splits, split_counts, split_rows
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError

FRACTIONS = st.sampled_from([(0.15, 0.1), (0.1, 0.09), (0.3, 0.3), (0.05, 0.6), (0.9, 0.05), (0.01, 0.01)])
CONFIGS = st.builds(
    lambda fractions, seed: SplitConfig(test_fraction=fractions[0], validation_fraction=fractions[1], seed=seed),
    FRACTIONS,
    st.integers(0, 3),
)


@st.composite
def labelled_texts(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Rows (text, label) of one to three labels, each with 3 to 25 texts of 1 to 5 copies, shuffled."""
    rows = []
    for label in "abc"[: draw(st.integers(1, 3))]:
        copies = draw(st.lists(st.integers(1, 5) | st.just(1), min_size=3, max_size=25))
        rows += [(f"{label}{number}", label) for number, count in enumerate(copies) for _ in range(count)]
    return draw(st.permutations(rows))


def split(rows: list[tuple[str, str]], config: SplitConfig) -> list[str]:
    digests = pd.Series([digest_text(text) for text, _ in rows])
    return split_rows(text_digests=digests, labels=pd.Series([label for _, label in rows]), config=config).tolist()


def honour(
    rows: list[tuple[str, str, str | None]], *, validation_fraction: float = 0.1
) -> tuple[list[str | None], int]:
    texts, labels, given_sides = (pd.Series(column, dtype=object) for column in zip(*rows, strict=True))
    config = SplitConfig(test_fraction=0.15, validation_fraction=validation_fraction, seed=42)
    sides = honour_given_split(text_digests=texts.map(digest_text), labels=labels, given=given_sides, config=config)
    return sides.tolist(), sides.isna().sum()


@given(rows=labelled_texts(), config=CONFIGS)
def test_every_row_has_one_side_and_equal_texts_share_it(rows: list[tuple[str, str]], config: SplitConfig) -> None:
    sides = split(rows, config)
    assert set(sides) <= set(SPLITS)
    assert len(set(zip((text for text, _ in rows), sides, strict=True))) == len({text for text, _ in rows})


@given(rows=labelled_texts(), config=CONFIGS)
def test_no_label_lacks_a_side(rows: list[tuple[str, str]], config: SplitConfig) -> None:
    found = {(label, side) for (_, label), side in zip(rows, split(rows, config), strict=True)}
    assert found == {(label, side) for _, label in rows for side in SPLITS}


@given(
    copies=st.lists(st.integers(1, 5), min_size=20, max_size=60),
    fractions=st.tuples(st.floats(0.1, 0.4), st.floats(0.1, 0.4)),
    seed=st.integers(0, 3),
)
def test_each_side_is_within_a_row_or_the_largest_group_of_its_target(
    copies: list[int], fractions: tuple[float, float], seed: int
) -> None:
    rows = [(f"a{number}", "a") for number, count in enumerate(copies) for _ in range(count)]
    target = {"test": fractions[0] * len(rows), "validation": fractions[1] * len(rows)}
    target["train"] = len(rows) - sum(target.values())
    assume(min(target.values()) >= max(copies))  # Else a side takes a whole group that it has no room for.
    sides = split(rows, SplitConfig(test_fraction=fractions[0], validation_fraction=fractions[1], seed=seed))
    for side, wanted in target.items():
        assert abs(sides.count(side) - wanted) <= max(copies) + 1e-9


@given(rows=st.integers(10, 300), test_fraction=st.floats(0.1, 0.4), validation_fraction=st.floats(0.1, 0.4))
def test_different_texts_are_split_to_the_row(rows: int, test_fraction: float, validation_fraction: float) -> None:
    config = SplitConfig(test_fraction=test_fraction, validation_fraction=validation_fraction, seed=42)
    sides = split([(f"text {number}", "a") for number in range(rows)], config)
    assert abs(sides.count("test") - test_fraction * rows) <= 1
    assert abs(sides.count("validation") - validation_fraction * rows) <= 1
    assert abs(sides.count("train") - (1 - test_fraction - validation_fraction) * rows) <= 1


def test_a_thousand_different_texts_have_the_very_counts_of_their_fractions() -> None:
    rows = [(f"{label} {number}", label) for label, count in (("a", 700), ("b", 300)) for number in range(count)]
    digests, labels = (pd.Series(column) for column in zip(*rows, strict=True))
    config = SplitConfig(test_fraction=0.15, validation_fraction=0.1, seed=42)
    counts = split_counts(split_rows(text_digests=digests.map(digest_text), labels=labels, config=config), labels)
    assert counts.to_dict("index") == {
        "a": {"train": 525, "validation": 70, "test": 105},
        "b": {"train": 225, "validation": 30, "test": 45},
    }


@given(rows=labelled_texts(), config=CONFIGS, data=st.data())
def test_permuted_rows_give_the_permuted_split(
    rows: list[tuple[str, str]], config: SplitConfig, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    sides = split(rows, config)
    assert split([rows[place] for place in order], config) == [sides[place] for place in order]


@given(rows=labelled_texts(), config=CONFIGS, count=st.integers(3, 20))
def test_rows_of_another_label_change_nothing(rows: list[tuple[str, str]], config: SplitConfig, count: int) -> None:
    others = [(f"other {number}", "other") for number in range(count)]
    assert split(rows + others, config)[: len(rows)] == split(rows, config)


def test_another_seed_gives_another_split_of_the_same_size() -> None:
    rows = [(f"text {number}", "a") for number in range(200)]
    first, second = (
        split(rows, SplitConfig(test_fraction=0.15, validation_fraction=0.1, seed=seed)) for seed in (1, 2)
    )
    assert first != second
    assert sorted(first) == sorted(second)


def test_the_index_of_the_rows_is_kept() -> None:
    index = [9, 3, 7, 5]
    digests, labels = pd.Series(list("wxyz"), index=index), pd.Series(["a"] * 4, index=index)
    config = SplitConfig(test_fraction=0.15, validation_fraction=0.1, seed=42)
    assert split_rows(text_digests=digests, labels=labels, config=config).index.tolist() == index


@pytest.mark.parametrize("texts", [["same"] * 9, ["one", "two"], ["one", "two", "two"], ["one"]])
def test_a_label_with_too_few_different_texts_is_refused_by_name(texts: list[str]) -> None:
    rows = [(f"fine {number}", "large") for number in range(10)] + [(text, "small") for text in texts]
    with pytest.raises(ContentError, match=r"Label 'small' has [12] different texts; it needs at least 3"):
        split(rows, SplitConfig(test_fraction=0.15, validation_fraction=0.1, seed=42))


def test_three_texts_are_enough() -> None:
    rows = [("one", "a"), ("two", "a"), ("three", "a")]
    assert sorted(split(rows, SplitConfig(test_fraction=0.15, validation_fraction=0.1, seed=42))) == sorted(SPLITS)


def test_a_given_split_is_honoured() -> None:
    rows = [("a", "x", "train"), ("b", "x", "test"), ("c", "x", "validation"), ("d", "y", "train"), ("e", "y", "test")]
    assert honour(rows) == (["train", "test", "validation", "train", "test"], 0)


def test_copies_of_held_out_texts_are_left_out_and_counted() -> None:
    rows = [
        ("in test", "x", "test"),
        ("in test", "x", "train"),
        ("in test", "x", "validation"),
        ("in test", "x", "test"),
        ("in validation", "x", "validation"),
        ("in validation", "x", "train"),
        ("in train", "x", "train"),
        ("in train", "x", "train"),
    ]
    assert honour(rows) == (["test", None, None, "test", "validation", None, "train", "train"], 3)


def test_validation_is_carved_from_each_label_of_train_where_none_is_given() -> None:
    rows = [(f"{label}{number}", label, "train") for label in "xy" for number in range(20)]
    rows += [(f"{label} held out", label, "test") for label in "xy"]
    sides, left_out = honour(rows)
    counts = pd.crosstab(pd.Series([label for _, label, _ in rows]), pd.Series(sides))
    assert counts.to_dict("index") == {label: {"test": 1, "train": 18, "validation": 2} for label in "xy"}
    assert left_out == 0
    assert [side == "test" for side in sides] == [side == "test" for _, _, side in rows]


def test_validation_is_carved_where_all_that_was_given_copies_test() -> None:
    rows = [(f"t{number}", "x", "train") for number in range(10)]
    rows += [("held out", "x", "test"), ("held out", "x", "validation")]
    sides, left_out = honour(rows)
    assert sides[10:] == ["test", None]
    assert (sides[:10].count("validation"), sides[:10].count("train"), left_out) == (1, 9, 1)


def test_carved_copies_share_a_side() -> None:
    rows = [(f"t{number // 3}", "x", "train") for number in range(30)] + [("held out", "x", "test")]
    sides, _ = honour(rows, validation_fraction=0.3)
    assert all(len(set(sides[first : first + 3])) == 1 for first in range(0, 30, 3))
    assert sides.count("validation") == 9


def test_a_label_whose_one_train_text_cannot_be_carved_is_refused() -> None:
    rows = [("a", "x", "train"), ("a", "x", "train"), ("b", "y", "train"), ("c", "y", "train"), ("d", "x", "test")]
    with pytest.raises(ContentError, match=r"Label 'x' has 1 different texts; it needs at least 2"):
        honour(rows)


def test_split_values_may_have_another_case_and_other_usual_names() -> None:
    given_sides = ["Train", "training", " TRN ", "dev", "Valid", "val", "eval", "development", "TEST", "tst", "testing"]
    expected = ["train"] * 3 + ["validation"] * 5 + ["test"] * 3
    assert name_splits(pd.Series(given_sides)).tolist() == expected


@pytest.mark.parametrize(
    ("sides", "found"),
    [
        (["train", "holdout", "test", "Fold 1"], r"the values 'Fold 1', 'holdout'\."),
        (["train", None, "test"], r"the values null\."),
        (["train", "", "test"], r"the values ''\."),
        (["train", "test", *map(str, range(9))], r"the values '0', '1', '2', '3', '4', and 4 more\."),
        (["train", "validation"], r"no row with test\."),
        (["test", "validation"], r"no row with train\."),
        (["validation"], r"no row with test or train\."),
    ],
)
def test_unknown_values_and_missing_sides_are_refused(sides: list[str | None], found: str) -> None:
    with pytest.raises(ContentError, match=found):
        name_splits(pd.Series(sides, dtype=object))


def test_counts_hold_every_side_even_where_it_is_empty() -> None:
    counts = split_counts(pd.Series(["train", "test", "train"]), pd.Series(["b", "b", "a"]))
    assert counts.index.tolist() == ["a", "b"]
    assert counts.columns.tolist() == ["train", "validation", "test"]
    assert counts.to_numpy().tolist() == [[1, 0, 0], [1, 0, 1]]
