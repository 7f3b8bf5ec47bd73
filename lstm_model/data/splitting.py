"""Train, validation and test rows: stratified by label, equal texts on one side, whatever the order of the rows."""

import hashlib

import numpy as np
import pandas as pd

from lstm_model.config.split import SplitConfig
from lstm_model.errors import ContentError

SPLITS = ("train", "validation", "test")


def split_rows(*, text_digests: pd.Series, labels: pd.Series, config: SplitConfig) -> pd.Series:
    """Return train, validation or test for each row; index as given, N rows.

    Each label's rows are shared out apart. Rows of one text form a group that stays whole, and groups are dealt in the
    order of a digest of (seed, text), so their places in the file do not matter. A side receives groups until it has
    reached its target, so it is off by less than one row or than the label's largest group; only where a target is
    smaller than a group does "each side gets one" take it further.

    Raises ContentError where a label has too few different texts for one on each side.
    """
    split = pd.Series("train", index=text_digests.index, dtype=object)
    for label, digests in text_digests.groupby(labels, sort=True):
        sizes = digests.value_counts()
        if len(sizes) < len(SPLITS):
            raise _too_few(label, len(sizes), len(SPLITS))
        sides = _deal(sizes, len(digests), config)
        split[digests.index] = digests.map(sides)
    return split


def honour_given_split(
    *, text_digests: pd.Series, labels: pd.Series, given: pd.Series, config: SplitConfig
) -> tuple[pd.Series, int]:
    """Return the split that a column gives, and how many rows were left out of it (`None` there).

    Copies of test texts leave train and validation, copies of validation texts leave train: a model must not be judged
    on what it has seen. Without validation rows (left) they are carved out of train as `split_rows` does.

    Raises ContentError for a value other than train, validation or test, and where train or test rows are missing.
    """
    unknown = sorted(set(given.dropna()) - set(SPLITS)) + (["null"] if given.isna().any() else [])
    missing = sorted({"train", "test"} - set(given))
    if unknown or missing:
        raise ContentError(
            expected="the values train, validation (optional) and test in the split column",
            found=", ".join(map(repr, unknown)) if unknown else f"no row with {' or '.join(missing)}",
            remedy="Rename the values, or leave out --data.split-column to have the rows split here.",
        )
    split = given.astype(object)
    is_test, is_validation = split == "test", split == "validation"
    split[~is_test & text_digests.isin(text_digests[is_test])] = None
    split[(split == "train") & text_digests.isin(text_digests[is_validation])] = None
    left_out = int(split.isna().sum())
    if not (split == "validation").any():  # None given, or all of them copies of test texts.
        split[split == "train"] = _carve_validation(text_digests[split == "train"], labels[split == "train"], config)
    return split, left_out


def _carve_validation(text_digests: pd.Series, labels: pd.Series, config: SplitConfig) -> pd.Series:
    split = pd.Series("train", index=text_digests.index, dtype=object)
    for label, digests in text_digests.groupby(labels, sort=True):
        sizes = digests.value_counts()
        if len(sizes) < 2:
            raise _too_few(label, len(sizes), 2)
        sides = _fill(_ordered(sizes, config.seed), {"validation": config.validation_fraction * len(digests)})
        split[digests.index] = digests.map(sides)
    return split


def _deal(sizes: pd.Series, rows: int, config: SplitConfig) -> dict[str, str]:
    targets = {"test": config.test_fraction * rows, "validation": config.validation_fraction * rows}
    return _fill(_ordered(sizes, config.seed), targets)


def _ordered(sizes: pd.Series, seed: int) -> list[tuple[str, int]]:
    """Return (text digest, rows) in an order that the seed and the text alone decide."""
    key = {digest: hashlib.sha256(f"{seed}/{digest}".encode()).digest() for digest in sizes.index}
    return sorted(zip(sizes.index, sizes.tolist(), strict=True), key=lambda group: key[group[0]])


def _fill(groups: list[tuple[str, int]], targets: dict[str, float]) -> dict[str, str]:
    """Fill each side in turn up to its target; what remains is train. Every side receives at least one group.

    Sides are filled up to the running total of targets, so that one side's surplus is the next one's shortage and
    train, too, is off by less than the largest group.
    """
    sides: dict[str, str] = {}
    position, dealt, goal = 0, 0, 0.0
    for waiting, (side, target) in zip(range(len(targets), 0, -1), targets.items(), strict=True):
        goal += target
        first = position
        while position < len(groups) - waiting and (position == first or dealt < int(goal + 0.5)):
            sides[groups[position][0]] = side
            dealt += groups[position][1]
            position += 1
    return {digest: sides.get(digest, "train") for digest, _ in groups}


def split_counts(split: pd.Series, labels: pd.Series) -> pd.DataFrame:
    """Return int64[C, 3]: rows of each label (index, sorted) in train, validation and test."""
    counts = pd.crosstab(labels, split).reindex(columns=list(SPLITS), fill_value=0)
    return counts.astype(np.int64)


def _too_few(label: object, found: int, needed: int) -> ContentError:
    return ContentError(
        expected=f"at least {needed} different texts with label {label!r}, so that each side gets one",
        found=str(found),
        remedy="Add rows with this label, or remove the label.",
    )
