"""Are the rows of a batch like those that a version was evaluated on? Five statistics, each with a limit.

A statistic has drifted if it exceeds its limit in the config and what chance alone gives at these sizes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lstm_model.arrays import Int64
from lstm_model.config.drift import DriftConfig
from lstm_model.drift.profile import LOG_ODDS_EDGES, Profile
from lstm_model.drift.word_shift import chance_spread, word_shift

Float = npt.NDArray[np.float64]
Groups = tuple[Int64, Int64, list[str]]  # Reference counts, batch counts and names.
TokenName = Callable[[int], str | None]
Sizes = tuple[float, float]  # Effective rows of the reference and of the batch.
STATISTICS, GROUPS = 5, 10
ROUNDS, SEED = 5_000, 42  # Of the draws of chance.
DRAWN_COUNTS = 2_000_000  # Bounds the memory of the draws if there are many labels.


@dataclass(frozen=True)
class Part:
    name: str  # Of a group of rows, or a word.
    reference: float  # Its share of the reference.
    batch: float


@dataclass(frozen=True)
class Statistic:
    name: str
    what: str
    value: float
    threshold: float  # The larger of the config's limit and chance.
    chance: float
    text: str
    parts: list[Part]

    @property
    def drifted(self) -> bool:
        return abs(self.value) > self.threshold


@dataclass(frozen=True)
class DriftComparison:
    verdict: Literal["drifted", "stable", "not judged"]
    text: str
    rows: int
    effective_rows: float
    reference_rows: int
    figures: list[Statistic]  # Empty if there are too few rows.

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"figures": [asdict(one) | {"drifted": one.drifted} for one in self.figures]}


def compare_profiles(
    reference: Profile, batch: Profile, config: DriftConfig, *, token_name: TokenName
) -> DriftComparison:
    """Compare a batch with the reference; both profiles are of one classifier."""
    sizes = batch.rows, batch.effective_rows(), reference.rows
    for name, profile in (("reference", reference), ("batch", batch)):
        size, rows = profile.effective_rows(), profile.rows
        if size < config.min_rows:
            alike = f", worth {max(1, round(size)):,} different rows" if size < 0.99 * rows else ""
            few = f"the {name} has {rows:,} with a text{alike}; at least {config.min_rows} are needed"
            return DriftComparison("not judged", f"Too few rows to compare: {few}.", *sizes, [])
    alarm = config.false_alarm_rate / STATISTICS  # Rate of false alarms, split evenly among the statistics.
    whole = (reference.effective_rows(), batch.effective_rows())
    sampled = (reference.effective_rows(len(reference.digests)), batch.effective_rows(len(batch.digests)))
    longest = int(max(reference.lengths.max(), batch.lengths.max()))
    lengths = [np.bincount(profile.lengths, minlength=longest + 1) for profile in (reference, batch)]
    index = partial(_stability, limit=config.max_psi, alarm=alarm)
    statistics = [
        index("classes", "predicted labels", (reference.classes, batch.classes, batch.labels), whole),
        index("confidence", "confidence", _grouped(reference.confidence, batch.confidence, _scores), whole),
        index("length", "length in tokens", _grouped(lengths[0], lengths[1], _tokens), sampled),
        _unknown_words(reference, batch, sampled, config.max_unknown_change, alarm),
        _words(reference, batch, sampled, config.max_word_auc, alarm, token_name),
    ]
    beyond = [f"{one.what} {one.value:.2f} (limit {one.threshold:.2f})" for one in statistics if one.drifted]
    if beyond:
        return DriftComparison("drifted", f"Beyond their limits: {', '.join(beyond)}.", *sizes, statistics)
    return DriftComparison("stable", f"All {STATISTICS} statistics are within their limits.", *sizes, statistics)


def stability_index(reference: Float, batch: Float) -> Float:
    """Return the population stability index of counts float64[..., B]: sum of (p - q) * ln(p / q) over the groups."""
    # Half a row per group, spread by the common shares, is added to both, so that no share is 0.
    total = reference + batch
    used = total > 0
    prior = 0.5 * used.sum(axis=-1, keepdims=True) * total / total.sum(axis=-1, keepdims=True)
    extra = prior.sum(axis=-1, keepdims=True)
    p, q = ((counts + prior) / (counts.sum(axis=-1, keepdims=True) + extra) for counts in (batch, reference))
    ratio = np.divide(p, q, out=np.ones_like(p), where=used)
    return np.asarray(((p - q) * np.log(ratio)).sum(axis=-1))


def _stability(name: str, what: str, groups: Groups, sizes: Sizes, *, limit: float, alarm: float) -> Statistic:
    reference, batch = (side.astype(np.float64) for side in groups[:2])
    value = float(stability_index(reference, batch))
    chance = _chance_index((reference + batch) / (reference + batch).sum(), sizes, alarm)
    threshold = max(limit, chance)
    shares = zip(groups[2], reference / reference.sum(), batch / batch.sum(), strict=True)
    parts = [Part(group, float(q), float(p)) for group, q, p in shares]
    most = max(parts, key=lambda part: abs(part.batch - part.reference))
    text = (
        f"{what.capitalize()}: stability index {value:.2f}, {_relation(value, threshold)} {threshold:.2f}; "
        f"largest change in {most.name}, from {most.reference:.0%} to {most.batch:.0%}."
    )
    return Statistic(name, what, value, threshold, chance, text, parts)


def _chance_index(shares: Float, sizes: Sizes, alarm: float) -> float:
    """Return the index that two samples of one distribution exceed in a share `alarm` of all draws."""
    rng = np.random.default_rng(SEED)
    rounds = max(1_000, min(ROUNDS, DRAWN_COUNTS // len(shares)))
    reference, batch = (rng.multinomial(max(1, round(size)), shares, size=rounds) for size in sizes)
    return float(np.quantile(stability_index(reference.astype(float), batch.astype(float)), 1 - alarm))


def _grouped(reference: Int64, batch: Int64, span: Callable[[int, int], str]) -> Groups:
    """Merge bins into groups with about equal shares of the reference; span names a group by its first and last bin."""
    groups = equal_groups(reference)
    merged = [np.bincount(groups, weights=side).astype(np.int64) for side in (reference, batch)]
    starts = np.searchsorted(groups, np.arange(groups[-1] + 2)).tolist()
    return merged[0], merged[1], [span(first, last - 1) for first, last in pairwise(starts)]


def equal_groups(counts: Int64) -> Int64:
    """Return the group number of each bin, int64[bins]: at most 10 groups of neighbours with about equal shares."""
    middle = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
    place = np.minimum((middle * GROUPS).astype(np.int64), GROUPS - 1)
    return np.unique(place, return_inverse=True)[1].astype(np.int64)


def _scores(first: int, last: int) -> str:
    low, high = (1 / (1 + np.exp(-LOG_ODDS_EDGES[place])) for place in (first, last + 1))
    return f"{low:.3f} to {high:.3f}"


def _tokens(first: int, last: int) -> str:
    return f"{first} to {last}" if last > first else str(first)


def _unknown_words(reference: Profile, batch: Profile, sizes: Sizes, limit: float, alarm: float) -> Statistic:
    """Compare the shares of unknown tokens; chance is that of a ratio of sums over whole rows."""
    change = batch.unknown_rate - reference.unknown_rate
    unknown = np.concatenate([reference.unknown, batch.unknown])
    tokens = np.concatenate([reference.lengths, batch.lengths])
    residual = (unknown - tokens * unknown.sum() / tokens.sum()) / tokens.mean()
    spread = float(residual.std() * np.sqrt(1 / sizes[0] + 1 / sizes[1]))
    chance = NormalDist().inv_cdf(1 - alarm / 2) * spread
    threshold = max(limit, chance)
    text = (
        f"Unknown words: {batch.unknown_rate:.1%} of the tokens, {reference.unknown_rate:.1%} in the reference; "
        f"the change is {_relation(abs(change), threshold)} {threshold:.1%}."
    )
    parts = [Part("unknown tokens", reference.unknown_rate, batch.unknown_rate)]
    return Statistic("unknown_words", "unknown words", change, threshold, chance, text, parts)


def _words(
    reference: Profile, batch: Profile, sizes: Sizes, limit: float, alarm: float, token_name: TokenName
) -> Statistic:
    auc, words = word_shift(reference, batch)
    chance = 0.5 + NormalDist().inv_cdf(1 - alarm) * chance_spread(*sizes)
    threshold = max(limit, chance)
    text = (
        f"Words: given one text of each set, a classifier picks the new one in {auc:.0%} of cases "
        f"(50% is guessing), {_relation(auc, threshold)} {threshold:.0%}."
    )
    parts = [Part(token_name(token) or "", before, now) for token, before, now in words]
    return Statistic("words", "words", auc, threshold, chance, text, parts)


def _relation(value: float, threshold: float) -> str:
    return "more than" if value > threshold else "at most"
