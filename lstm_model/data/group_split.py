"""A split that keeps groups whole, such as all texts of one customer."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lstm_model.config.split import SplitConfig
from lstm_model.data.splitting import SPLITS
from lstm_model.data.texts import BLANK
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError

SWEEPS = 10  # A bound; mostly nothing moves after 2 to 4.
MISSING = 1e6  # The price of a label that a split lacks, above any distance from targets.


def split_groups(*, text_digests: pd.Series, labels: pd.Series, groups: pd.Series, config: SplitConfig) -> pd.Series:
    """Return train, validation or test for each row; no group and no text is in two of them; N rows.

    Groups that share a text are one. A row whose group is null or blank is a group of its own. A digest of (seed,
    group) proposes the split, so that most groups stay where they are when rows are added; then groups move until each
    label's shares are as near to the fractions as moving single groups gets them. The order of rows does not matter.

    Raises ContentError for a label that the groups do not allow in each split.
    """
    named = groups.where(groups.str.strip(BLANK) != "")
    units = _join_groups(text_digests, named)
    keys = named.fillna(text_digests).groupby(units).min()
    chances = np.array([int(digest_text(f"{config.seed}/{key}")[:12], 16) / 2**48 for key in keys])  # From 0 to 1.
    held_out = (config.validation_fraction, config.test_fraction)
    targets = np.array([1 - sum(held_out), *held_out])
    proposed = np.searchsorted(targets.cumsum()[:-1], chances, side="right")
    label_ids, names = pd.factorize(labels, sort=True)
    shape = (len(keys), len(names))
    counts = sparse.coo_array((np.ones(len(units), dtype=np.int64), (units, label_ids)), shape=shape).tocsr()
    order = np.lexsort((chances, -np.bincount(units)))  # The largest first: small ones fill what is left.
    placed = _move(counts, proposed, order, targets)
    holders = np.stack([(counts[placed == side] > 0).sum(axis=0) for side in range(len(SPLITS))], axis=1)
    for label, units_with in zip(names, holders, strict=True):
        if not units_with.min():
            raise ContentError(
                f"Label {label!r} is in {units_with.sum()} separate groups of {config.group_column!r}, which leave "
                f"{SPLITS[units_with.argmin()]} without it.",
                "Each split needs a group with each label: add groups, or remove the label.",
            )
    return pd.Series(np.array(SPLITS, dtype=object)[placed[units]], index=labels.index, dtype=object)


def _join_groups(text_digests: pd.Series, groups: pd.Series) -> npt.NDArray[np.int64]:
    """Return int64[N]: rows with one number are connected by their group, or by equal texts of several groups."""
    texts, names = pd.factorize(text_digests)
    group_ids, _ = pd.factorize(groups)  # -1 for null.
    grouped = group_ids >= 0
    edges = (np.ones(grouped.sum()), (texts[grouped], len(names) + group_ids[grouped]))
    size = len(names) + int(group_ids.max()) + 1
    _, found = connected_components(sparse.coo_array(edges, shape=(size, size)), directed=False)
    return np.asarray(pd.factorize(found[texts])[0], dtype=np.int64)


def _move(
    counts: sparse.csr_array,
    proposed: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    targets: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """Return the split of each unit, int64[U]; proposed: where each is at first, int64[U].

    Each unit in turn goes where the squared distances of its labels' shares from the targets, float64[3], each divided
    by its target, have the smallest sum; again, until none moves. counts: rows of each label in each unit, int64[U, C].
    """
    sides = proposed.copy()
    totals = counts.sum(axis=0)
    parts = [slice(*counts.indptr[unit : unit + 2]) for unit in range(len(sides))]
    rows = np.stack([counts[sides == side].sum(axis=0) for side in range(len(targets))], axis=1)
    for sweep in range(SWEEPS):
        price = MISSING if sweep else 0  # Later: a large group must not stay alone in test because test has no other.
        before = sides.copy()
        for unit in order:
            label_ids, own = counts.indices[parts[unit]], counts.data[parts[unit]]
            rows[label_ids, sides[unit]] -= own
            others, part = rows[label_ids], (own / totals[label_ids])[:, None]
            shares = others / totals[label_ids][:, None]
            costs = ((2 * (shares - targets) + part) * part / targets).sum(axis=0) - price * (others == 0).sum(axis=0)
            if costs.min() < costs[sides[unit]] - 1e-9:
                sides[unit] = costs.argmin()
            rows[label_ids, sides[unit]] += own
        if sweep and (sides == before).all():
            break
    return sides
