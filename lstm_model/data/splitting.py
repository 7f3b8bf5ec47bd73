"""Train, validation and test rows: stratified by label, as a column says, or by time; equal texts in one split."""

import numpy as np
import pandas as pd

from lstm_model.config.split import SplitConfig
from lstm_model.data.labels import shorten
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError

SPLITS = ("train", "validation", "test")
SYNONYMS = {
    **dict.fromkeys(("train", "training", "trn", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "te"), "test"),
}


def name_splits(given: pd.Series) -> pd.Series:
    """Return train, validation or test for the values of a split column, which may use another case or a synonym.

    Raises ContentError for any other value, and where train or test rows are missing.
    """
    names = given.str.strip().str.lower().map(SYNONYMS)
    unknown = [*map(repr, sorted(set(given[names.isna()].dropna()))), *(["null"] if given.isna().any() else [])]
    missing = sorted({"train", "test"} - set(names))
    if unknown or missing:
        problem = f"the values {shorten(unknown)}" if unknown else f"no row with {' or '.join(missing)}"
        raise ContentError(
            f"The split column has {problem}. It needs train, test and, optionally, validation (or dev, val, valid).",
            "Rename the values, or leave out --data.split-column to have the rows split here.",
        )
    return names


def split_rows(*, text_digests: pd.Series, labels: pd.Series, config: SplitConfig) -> pd.Series:
    """Return train, validation or test for each row; index as given, N rows.

    Each label's rows are split separately. Rows of one text form a group that stays whole. Groups are dealt in the
    order of a digest of (seed, text), so their places in the file do not matter. A split receives groups until it
    reaches its target, so it is off by less than the label's largest group, unless its one group is larger than that.

    Raises ContentError if a label has too few different texts for one in each split.
    """
    fractions = {"test": config.test_fraction, "validation": config.validation_fraction}
    return _deal_labels(text_digests, labels, fractions, config.seed)


def honour_given_split(
    *, text_digests: pd.Series, labels: pd.Series, given: pd.Series, config: SplitConfig
) -> pd.Series:
    """Return the split that a column gives; None for rows that are left out of it.

    Copies of test texts leave train and validation, copies of validation texts leave train: a model must not be
    evaluated on texts it has seen. If no validation rows are left, train rows become validation, as in `split_rows`.
    given: as `name_splits` returns it.
    """
    split = given.astype(object)
    _leave_out_copies(split, text_digests)
    if not (split == "validation").any():  # None given, or all of them copies of test texts.
        train = split == "train"
        fractions = {"validation": config.validation_fraction}
        split[train] = _deal_labels(text_digests[train], labels[train], fractions, config.seed)
    return split


def read_times(values: pd.Series) -> pd.Series:
    """Return float64[N] in the order of time, NaN for what is neither: numbers, or ISO dates and timestamps.

    All values are read as numbers if half of them are. Timestamps without a zone are in UTC.
    """
    numbers = pd.to_numeric(values, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    if 2 * numbers.notna().sum() >= len(values):
        return numbers
    dates = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
    return dates.astype("int64").astype("float64").where(dates.notna())


def split_times(*, text_digests: pd.Series, labels: pd.Series, times: pd.Series, config: SplitConfig) -> pd.Series:
    """Return the split; None for copies of later texts, which are left out of it.

    As in production, test rows are the newest, validation rows the newest of the rest. Rows of one time stay together:
    a share is as near to its fraction as that allows. times: as `read_times` returns them, none missing.

    Raises ContentError where there are too few times, and for a label without a train row.
    """
    split = pd.Series("train", index=times.index, dtype=object)
    if times.nunique() < 3:
        problem = f"The column {config.time_column!r} has {times.nunique()} different values."
        remedy = "It needs at least 3, one for each split: name another column with --split.time-column."
        raise ContentError(problem, remedy)
    test_from = _boundary(times, config.test_fraction * len(times), left=2)
    validation_from = _boundary(times[times < test_from], config.validation_fraction * len(times), left=1)
    split[times >= validation_from] = "validation"
    split[times >= test_from] = "test"
    _leave_out_copies(split, text_digests)
    if not (split == "validation").any():
        raise ContentError("All validation rows are copies of later texts.", "Raise --split.validation-fraction.")
    if missing := sorted(set(labels) - set(labels[split == "train"])):
        problem = f"Label {missing[0]!r} has no train row: all its rows are newer, or copies of newer texts."
        raise ContentError(problem, "Remove the label, or lower --split.test-fraction and --split.validation-fraction.")
    return split


def _boundary(times: pd.Series, wanted: float, *, left: int) -> float:
    """Return the time from which on rows come nearest to the wanted count; at least `left` times are earlier."""
    counts = times.value_counts().sort_index(ascending=False)
    newer = counts.cumsum().iloc[: len(counts) - left]
    return float(newer.index.to_numpy()[(newer - wanted).abs().argmin()])


def _leave_out_copies(split: pd.Series, text_digests: pd.Series) -> None:
    """Set the split of copies of held-out texts to None, as in `honour_given_split`."""
    is_test, is_validation = split == "test", split == "validation"
    split[~is_test & text_digests.isin(text_digests[is_test])] = None
    split[(split == "train") & text_digests.isin(text_digests[is_validation])] = None


def _deal_labels(text_digests: pd.Series, labels: pd.Series, fractions: dict[str, float], seed: int) -> pd.Series:
    split = pd.Series("train", index=text_digests.index, dtype=object)
    needed = len(fractions) + 1
    for label, digests in text_digests.groupby(labels, sort=True):
        sizes = digests.value_counts()
        if len(sizes) < needed:
            raise ContentError(
                f"Label {label!r} has {len(sizes)} different texts; it needs at least {needed}, one for each split.",
                "Add rows with this label, or remove the label.",
            )
        order = sorted(sizes.index, key=lambda digest: digest_text(f"{seed}/{digest}"))
        targets = {side: fraction * len(digests) for side, fraction in fractions.items()}
        sides = _deal(sizes[order].tolist(), targets)
        split[digests.index] = digests.map(dict(zip(order, sides, strict=True)))
    return split


def _deal(sizes: list[int], targets: dict[str, float]) -> list[str]:
    """Fill each split in turn with groups up to its target; the rest is train. Every split receives at least one.

    Splits are filled up to the running total of targets, so one split's surplus is the next one's shortage, and train,
    too, is off by less than the largest group.
    """
    sides: list[str] = []
    dealt, goal = 0, 0.0
    for waiting, (side, target) in zip(range(len(targets), 0, -1), targets.items(), strict=True):
        goal += target
        first = len(sides)
        while len(sides) < len(sizes) - waiting and (len(sides) == first or dealt < int(goal + 0.5)):
            dealt += sizes[len(sides)]
            sides.append(side)
    return [*sides, *["train"] * (len(sizes) - len(sides))]


def split_counts(split: pd.Series, labels: pd.Series) -> pd.DataFrame:
    """Return int64[C, 3]: rows of each label (index, sorted) in train, validation and test."""
    return pd.crosstab(labels, split).reindex(columns=list(SPLITS), fill_value=0).astype("int64")
