"""Groups stay whole, whatever they hold; shares come as near to the fractions as whole groups allow."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.config.split import SplitConfig
from lstm_model.data.group_split import split_groups
from lstm_model.data.splitting import SPLITS
from lstm_model.errors import ContentError

CONFIG = SplitConfig(test_fraction=0.2, validation_fraction=0.1, seed=42, group_column="customer")
Row = tuple[str, str, str | None]  # text, label, group


@st.composite
def grouped_rows(draw: st.DrawFn) -> list[Row]:
    """Rows whose labels can be in each split, with texts in several groups, nulls and groups with several labels."""
    names = st.sampled_from([None, "", *"pqrstuvw"])
    rows = st.tuples(st.integers(0, 40).map(str), st.sampled_from("ab"), names)
    alone = [(f"{label}{n}", label, f"{label}{n}") for label in "ab" for n in range(3)]
    return draw(st.permutations(draw(st.lists(rows, max_size=60)) + alone))


def split(rows: list[Row], config: SplitConfig = CONFIG) -> list[str]:
    texts, labels, groups = (pd.Series(column, dtype=object) for column in zip(*rows, strict=True))
    return split_groups(text_digests=texts, labels=labels, groups=groups, config=config).tolist()


@given(rows=grouped_rows(), seed=st.integers(0, 3))
def test_no_group_and_no_text_is_in_two_splits(rows: list[Row], seed: int) -> None:
    sides = split(rows, CONFIG.model_copy(update={"seed": seed}))
    assert set(sides) == set(SPLITS)
    for place in (0, 2):
        found = {(row[place], side) for row, side in zip(rows, sides, strict=True) if row[place] not in (None, "")}
        assert len(found) == len({value for value, _ in found})


@given(rows=grouped_rows(), data=st.data())
def test_permuted_rows_give_the_permuted_split(rows: list[Row], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    sides = split(rows)
    assert split([rows[place] for place in order]) == [sides[place] for place in order]


@given(rows=grouped_rows())
def test_each_label_is_in_each_split(rows: list[Row]) -> None:
    found = {(label, side) for (_, label, _), side in zip(rows, split(rows), strict=True)}
    assert found == {(label, side) for label in "ab" for side in SPLITS}


@pytest.mark.parametrize("labels_of_a_group", [1, 2, 5])
def test_shares_of_labels_are_near_their_fractions(labels_of_a_group: int) -> None:
    rng = np.random.default_rng(7)
    rows = [
        (f"text {group} {number}", f"label {rng.choice(labels_of_a_group) + group % 3}", f"group {group}")
        for group in range(150)
        for number in range(rng.integers(1, 20))
    ]
    table = pd.DataFrame(rows, columns=["text", "label", "group"]).assign(side=split(rows))
    shares = pd.crosstab(table["label"], table["side"], normalize="index")
    for side, fraction in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert shares[side].between(fraction - 0.02, fraction + 0.02).all(), shares


def test_one_large_group_goes_to_train() -> None:
    rows = [(f"a{n}", "x", "large") for n in range(100)] + [("b", "x", "small"), ("c", "x", "other")]
    sides = split(rows)
    assert set(sides[:100]) == {"train"} and sorted(sides[100:]) == ["test", "validation"]


def test_rows_without_a_group_are_split_one_by_one() -> None:
    rows = [(f"text {n}", "x", None if n % 2 else " ") for n in range(100)]
    sides = split(rows)
    assert [sides.count(side) for side in SPLITS] == [70, 10, 20]


def test_most_groups_stay_where_they_are_when_rows_are_added() -> None:
    rows = [(f"text {n}", f"label {n % 3}", f"group {n // 4 % 500}") for n in range(4_000)]
    before, after = split(rows[:3_600]), split(rows)[:3_600]
    moved = sum(one != other for one, other in zip(before, after, strict=True))
    assert moved < 0.05 * len(before)


def test_another_seed_gives_another_split() -> None:
    rows = [(f"text {n}", "x", f"group {n // 2}") for n in range(100)]
    assert split(rows) != split(rows, CONFIG.model_copy(update={"seed": 1}))


@pytest.mark.parametrize(
    ("groups", "count"),
    [(["one"] * 6, 1), (["one"] * 5 + ["two"], 2), (["one", "two", "three"] * 2, 1)],
    ids=["one group", "two groups", "three groups that share a text"],
)
def test_a_label_in_too_few_groups_is_named_with_their_number(groups: list[str], count: int) -> None:
    texts = ["same"] * 3 + ["3", "4", "5"] if count == 1 else list("012345")
    rows = [(f"fine {n}", "fine", f"fine {n}") for n in range(9)]
    rows += [(text, "rare", group) for text, group in zip(texts, groups, strict=True)]
    with pytest.raises(ContentError, match=rf"Label 'rare' is in {count} separate groups of 'customer', which leave"):
        split(rows)
