"""The split: a partition, stratified, equal texts together, whatever the order of the rows."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.config import SplitConfig
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError
from lstm_model.splitting import SPLITS, honour_given_split, split_counts, split_rows

# Up to 3 labels; for each, how often each of its texts occurs.
GROUPS = st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=25), min_size=1, max_size=3)
CONFIG = SplitConfig(test_fraction=0.2, validation_fraction=0.15, seed=3)


def frame_of(groups: list[list[int]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"label": f"label{number}", "digest": digest_text(f"{number}/{place}")}
            for number, sizes in enumerate(groups)
            for place, size in enumerate(sizes)
            for _ in range(size)
        ]
    )


def split_of(frame: pd.DataFrame, config: SplitConfig = CONFIG) -> pd.Series:
    return split_rows(text_digests=frame["digest"], labels=frame["label"], config=config)


@given(GROUPS)
def test_every_row_has_one_side_and_every_label_is_on_every_side(groups: list[list[int]]) -> None:
    frame = frame_of(groups)
    split = split_of(frame)
    assert set(split) == set(SPLITS) and split.notna().all()
    counts = split_counts(split, frame["label"])
    assert (counts.to_numpy() > 0).all() and counts.to_numpy().sum() == len(frame)


@given(GROUPS)
def test_equal_texts_share_a_side(groups: list[list[int]]) -> None:
    frame = frame_of(groups)
    assert (split_of(frame).groupby(frame["digest"]).nunique() == 1).all()


@given(st.lists(st.lists(st.integers(1, 4), min_size=12, max_size=40), min_size=1, max_size=3))
def test_each_class_is_within_one_row_or_its_largest_group_of_its_target(groups: list[list[int]]) -> None:
    frame = frame_of(groups)
    counts = split_counts(split_of(frame), frame["label"])
    fractions = {"train": 0.65, "validation": 0.15, "test": 0.2}
    for number, sizes in enumerate(groups):
        for side, fraction in fractions.items():
            off = abs(counts.loc[f"label{number}", side] - fraction * sum(sizes))
            assert off <= max(1, max(sizes))


@given(GROUPS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(groups: list[list[int]], random: object) -> None:
    frame = frame_of(groups)
    order = list(range(len(frame)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = split_of(frame.iloc[order])
    assert shuffled.sort_index().equals(split_of(frame))


def test_rows_of_another_label_change_nothing_and_another_seed_does() -> None:
    small, large = frame_of([[1] * 30]), frame_of([[1] * 30, [2] * 9])
    assert list(split_of(large)[:30]) == list(split_of(small))
    assert list(split_of(small, SplitConfig(seed=99))) != list(split_of(small, SplitConfig(seed=98)))


def test_a_label_with_two_texts_cannot_be_split() -> None:
    with pytest.raises(ContentError, match="at least 3 different texts with label 'label0'; found 2"):
        split_of(frame_of([[4, 4]]))


def given_split(texts: str, given: list[str | None]) -> tuple[list[str | None], int]:
    split, left_out = honour_given_split(
        text_digests=pd.Series(list(texts)), labels=pd.Series(["x"] * len(texts)),
        given=pd.Series(given, dtype=object), config=CONFIG,
    )  # fmt: skip
    return [None if pd.isna(side) else side for side in split], left_out


def test_copies_of_held_out_texts_leave_the_sides_that_would_learn_them() -> None:
    split, left_out = given_split("abcabd", ["train", "train", "validation", "test", "validation", "train"])
    assert split == [None, None, "validation", "test", "validation", "train"] and left_out == 2


def test_without_validation_rows_they_are_carved_from_train() -> None:
    split, left_out = given_split("abcdefghijz", ["train"] * 10 + ["test"])
    assert split.count("validation") == 2 and split[-1] == "test" and left_out == 0


@pytest.mark.parametrize(
    ("given_values", "found"),
    [(["train", "dev", "test"], "'dev'"), (["train", None, "test"], "null"), (["train"] * 3, "no row with test")],
)
def test_other_values_and_missing_sides_are_refused(given_values: list[str | None], found: str) -> None:
    with pytest.raises(ContentError, match=found):
        given_split("abc", given_values)
