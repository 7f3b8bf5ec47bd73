"""A split that keeps groups whole, such as all texts of one customer."""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import SPLITS
from lstm_model.data.texts import BLANK
from lstm_model.errors import ContentError

SWEEPS = 10  # A bound; mostly nothing moves after 3 to 6.
MISSING = 1e6  # The price of a label that a split lacks, above any distance from targets.


def split_groups(*, text_digests: pd.Series, labels: pd.Series, groups: pd.Series, config: SplitConfig) -> pd.Series:
    """Return train, validation or test for each row; no group and no text is in two of them; N rows.

    Groups that share a text are one. A row whose group is null or blank is a group of its own. Each label's shares
    come as near to the fractions as moving single groups gets them. The order of rows does not matter.

    Raises ContentError for a label that the groups do not allow in each split.
    """
    units = _join_groups(text_digests, groups)
    label_ids, names = pd.factorize(labels, sort=True)
    counts = sparse.coo_array((np.ones(len(units)), (units, label_ids))).tocsr()
    keys = text_digests.groupby(units).min()
    order = sorted(range(len(keys)), key=lambda unit: hashlib.sha256(f"{config.seed}/{keys[unit]}".encode()).digest())
    rows = np.bincount(units)
    order.sort(key=lambda unit: -rows[unit])  # The largest first, as long as there is room for them.
    totals = np.bincount(label_ids)
    parts = [
        (counts.indices[first:last], counts.data[first:last] / totals[counts.indices[first:last]])
        for first, last in ((counts.indptr[unit], counts.indptr[unit + 1]) for unit in order)
    ]
    train = 1 - config.validation_fraction - config.test_fraction
    placed, shares = _place(parts, len(names), np.array([train, config.validation_fraction, config.test_fraction]))
    for label, share in zip(names, shares, strict=True):
        if not share.min():
            raise ContentError(
                f"Label {label!r} is in {counts[:, [names.get_loc(label)]].count_nonzero()} separate groups of "
                f"{config.group_column!r}, which leave {SPLITS[share.argmin()]} without it.",
                "Each split needs a group with each label: add groups, or remove the label.",
            )
    sides = np.empty(len(order), dtype=object)
    sides[order] = np.array(SPLITS, dtype=object)[placed]
    return pd.Series(sides[units], index=labels.index, dtype=object)


def _join_groups(text_digests: pd.Series, groups: pd.Series) -> npt.NDArray[np.int64]:
    """Return int[N]: rows with one number are connected by their group, or by equal texts of several groups."""
    texts, names = pd.factorize(text_digests)
    group_ids, _ = pd.factorize(groups.where(groups.str.strip(BLANK) != ""))  # -1 for null.
    grouped = group_ids >= 0
    edges = (np.ones(grouped.sum()), (texts[grouped], len(names) + group_ids[grouped]))
    size = len(names) + int(group_ids.max()) + 1
    _, found = connected_components(sparse.coo_array(edges, shape=(size, size)), directed=False)
    units, _ = pd.factorize(found[texts])
    return units.astype(np.int64)


def _place(
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]],
    num_labels: int,
    targets: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the split of each unit, int[U], and each label's shares, float64[C, 3], near the targets, float64[3].

    parts: label_ids and shares of these labels' rows, for each unit. Each unit goes where the sum of squared distances
    from the targets, each divided by its target, becomes smallest; again and again, until none moves.
    """
    sides = np.full(len(parts), -1)
    shares = np.zeros((num_labels, len(targets)))
    taken = np.zeros((num_labels, len(targets)), dtype=np.int64)  # Units; sums of shares are never exactly zero again.
    for _ in range(SWEEPS):
        before = sides.copy()
        for unit, (label_ids, part) in enumerate(parts):
            side = sides[unit]
            if side >= 0:
                shares[label_ids, side] -= part
                taken[label_ids, side] -= 1
            part = part[:, None]
            costs = ((2 * (shares[label_ids] - targets) + part) * part / targets).sum(axis=0)
            costs -= MISSING * (taken[label_ids] == 0).sum(axis=0)
            best = costs.argmin()
            if side < 0 or costs[best] < costs[side] - 1e-9:
                sides[unit] = side = best
            shares[label_ids, side] += part[:, 0]
            taken[label_ids, side] += 1
        if (sides == before).all():
            break
    return sides, np.where(taken > 0, shares, 0)
