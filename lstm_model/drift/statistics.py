"""Are the rows of a batch like those that a version was judged on? Five figures, each with its limit and a verdict.

A figure has drifted where it is beyond the limit that matters (config) and beyond what chance alone brings at these
sizes: the limit in force is the larger of the two. The false alarms that may be are shared out among the figures.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lstm_model.config.drift import DriftConfig
from lstm_model.drift.profile import LOG_ODDS_EDGES, Profile
from lstm_model.drift.word_shift import chance_spread, word_shift
from lstm_model.tokens.text_encoder import Int64

Float = npt.NDArray[np.float64]
Verdict = Literal["drifted", "stable", "not judged"]
FIGURES = 5
GROUPS = 10
ROUNDS = 5_000
DRAWN_COUNTS = 2_000_000  # Bounds the memory of the draws where there are many labels.


@dataclass(frozen=True)
class Part:
    """What a figure is made of: the share of the reference and of the batch in one group, or of rows with one word."""

    name: str
    reference: float
    batch: float


@dataclass(frozen=True)
class Statistic:
    """One way to tell: its value, the limit in force, what chance alone brings, a sentence, and what it is made of."""

    name: str
    what: str
    value: float
    threshold: float
    chance: float
    text: str
    parts: list[Part]

    @property
    def drifted(self) -> bool:
        return abs(self.value) > self.threshold


@dataclass(frozen=True)
class DriftComparison:
    """A batch beside the reference. Figures are missing where there are too few rows to judge."""

    verdict: Verdict
    text: str
    rows: int
    effective_rows: float
    reference_rows: int
    figures: list[Statistic]

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return asdict(self) | {"figures": [asdict(one) | {"drifted": one.drifted} for one in self.figures]}


def compare_profiles(
    reference: Profile, batch: Profile, config: DriftConfig, *, token_name: Callable[[int], str], seed: int = 42
) -> DriftComparison:
    """Compare a batch with the reference; both profiles are of one classifier. seed: decides the draws of chance."""
    sizes = {"reference": reference.effective_rows(), "batch": batch.effective_rows()}
    few = _too_few(sizes, {"reference": reference.rows, "batch": batch.rows}, config.min_rows)
    figures = [] if few else _figures(reference, batch, config, token_name, seed)
    drifted = [figure for figure in figures if figure.drifted]
    if few:
        verdict, text = "not judged", few
    elif drifted:
        beyond = ", ".join(f"{one.what} {one.value:.2f} (limit {one.threshold:.2f})" for one in drifted)
        verdict, text = "drifted", f"Beyond their limits: {beyond}."
    else:
        verdict, text = "stable", f"All {FIGURES} figures are within their limits."
    return DriftComparison(verdict, text, batch.rows, sizes["batch"], reference.rows, figures)  # type: ignore[arg-type]


def _too_few(effective: dict[str, float], rows: dict[str, int], least: int) -> str | None:
    for name, size in effective.items():
        if size < least:
            alike = f", which tell as much as {max(1, round(size)):,} different" if size < 0.99 * rows[name] else ""
            found = f"the {name} has {rows[name]:,} with a text{alike}"
            return f"Too few rows to tell: {found}; at least {least} are needed."
    return None


def _figures(
    reference: Profile, batch: Profile, config: DriftConfig, token_name: Callable[[int], str], seed: int
) -> list[Statistic]:
    alarm = config.false_alarm_rate / FIGURES
    whole = (reference.effective_rows(), batch.effective_rows())
    sampled = (reference.effective_rows(len(reference.digests)), batch.effective_rows(len(batch.digests)))
    longest = int(max(reference.lengths.max(), batch.lengths.max()))
    lengths = [np.bincount(profile.lengths, minlength=longest + 1) for profile in (reference, batch)]
    index = _StabilityIndex(config.max_psi, alarm, seed)
    return [
        index.figure("classes", "predicted labels", (reference.classes, batch.classes), whole, batch.labels),
        index.grouped("confidence", "confidence", (reference.confidence, batch.confidence), whole, _scores),
        index.grouped("length", "length in tokens", (lengths[0], lengths[1]), sampled, _tokens),
        _unknown_words(reference, batch, sampled, config.max_unknown_change, alarm),
        _words(reference, batch, sampled, config.max_word_auc, alarm, token_name),
    ]


def stability_index(reference: Float, batch: Float) -> Float:
    """Return the population stability index of counts float64[..., B]: sum of (p - q) * ln(p / q) over the groups.

    Both are drawn a little towards their common shares, by half a row a group, so that no share is 0.
    """
    total = reference + batch
    used = total > 0
    prior = 0.5 * used.sum(axis=-1, keepdims=True) * total / total.sum(axis=-1, keepdims=True)
    p, q = (
        (counts + prior) / (counts.sum(axis=-1, keepdims=True) + prior.sum(axis=-1, keepdims=True))
        for counts in (batch, reference)
    )
    ratio = np.divide(p, q, out=np.ones_like(p), where=used)
    return np.asarray(((p - q) * np.log(ratio)).sum(axis=-1))


@dataclass(frozen=True)
class _StabilityIndex:
    """Makes figures of counts. limit: the index that matters. alarm: share of false alarms of one figure."""

    limit: float
    alarm: float
    seed: int

    def figure(
        self, name: str, what: str, counts: tuple[Int64, Int64], sizes: tuple[float, float], groups: list[str]
    ) -> Statistic:
        reference, batch = (side.astype(np.float64) for side in counts)
        value = float(stability_index(reference, batch))
        chance = self._chance((reference + batch) / (reference + batch).sum(), sizes)
        threshold = max(self.limit, chance)
        shares = zip(groups, reference / reference.sum(), batch / batch.sum(), strict=True)
        parts = [Part(group, float(q), float(p)) for group, q, p in shares]
        moved = max(parts, key=lambda part: abs(part.batch - part.reference))
        text = (
            f"{what.capitalize()}: stability index {value:.2f}, {_beside(value, threshold)} {threshold:.2f}; "
            f"most moved {moved.name}, from {moved.reference:.0%} to {moved.batch:.0%}."
        )
        return Statistic(name, what, value, threshold, chance, text, parts)

    def grouped(
        self,
        name: str,
        what: str,
        counts: tuple[Int64, Int64],
        sizes: tuple[float, float],
        span: Callable[[int, int], str],
    ) -> Statistic:
        """Make the figure of groups that hold about equal shares of the reference."""
        groups = equal_groups(counts[0])
        merged = tuple(np.bincount(groups, weights=side).astype(np.int64) for side in counts)
        starts = np.searchsorted(groups, np.arange(groups[-1] + 2)).tolist()
        names = [span(first, last - 1) for first, last in pairwise(starts)]
        return self.figure(name, what, (merged[0], merged[1]), sizes, names)

    def _chance(self, shares: Float, sizes: tuple[float, float]) -> float:
        """Return the index that samples of one distribution exceed in a share `alarm` of all draws."""
        rng = np.random.default_rng(self.seed)
        rounds = max(1_000, min(ROUNDS, DRAWN_COUNTS // len(shares)))
        reference, batch = (rng.multinomial(max(1, round(size)), shares, size=rounds) for size in sizes)
        return float(np.quantile(stability_index(reference.astype(float), batch.astype(float)), 1 - self.alarm))


def equal_groups(counts: Int64, most: int = GROUPS) -> Int64:
    """Return for each bin the number of its group, int64[bins]: neighbours, in at most `most` groups of like share."""
    middle = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
    place = np.minimum((middle * most).astype(np.int64), most - 1)
    return np.unique(place, return_inverse=True)[1].astype(np.int64)


def _scores(first: int, last: int) -> str:
    low, high = (1 / (1 + np.exp(-LOG_ODDS_EDGES[place])) for place in (first, last + 1))
    return f"{low:.3f} to {high:.3f}"


def _tokens(first: int, last: int) -> str:
    return f"{first} to {last}" if last > first else str(first)


def _unknown_words(
    reference: Profile, batch: Profile, sizes: tuple[float, float], limit: float, alarm: float
) -> Statistic:
    """Compare the shares of unknown tokens; chance is that of a ratio of sums over rows, which vary as wholes."""
    change = batch.unknown_rate - reference.unknown_rate
    unknown = np.concatenate([reference.unknown, batch.unknown])
    tokens = np.concatenate([reference.lengths, batch.lengths])
    residual = (unknown - tokens * unknown.sum() / tokens.sum()) / tokens.mean()
    spread = float(residual.std() * np.sqrt(1 / sizes[0] + 1 / sizes[1]))
    chance = NormalDist().inv_cdf(1 - alarm / 2) * spread
    threshold = max(limit, chance)
    text = (
        f"Unknown words: {batch.unknown_rate:.1%} of the tokens, {reference.unknown_rate:.1%} in the reference; "
        f"the change is {_beside(abs(change), threshold)} {threshold:.1%}."
    )
    parts = [Part("unknown tokens", reference.unknown_rate, batch.unknown_rate)]
    return Statistic("unknown_words", "unknown words", change, threshold, chance, text, parts)


def _words(
    reference: Profile,
    batch: Profile,
    sizes: tuple[float, float],
    limit: float,
    alarm: float,
    token_name: Callable[[int], str],
) -> Statistic:
    shift = word_shift(reference, batch)
    chance = 0.5 + NormalDist().inv_cdf(1 - alarm) * chance_spread(*sizes)
    threshold = max(limit, chance)
    text = (
        f"Words: shown a text of each kind, a classifier picks the new one in {shift.auc:.0%} of cases "
        f"(50% is guessing), {_beside(shift.auc, threshold)} {threshold:.0%}."
    )
    parts = [Part(token_name(token), before, now) for token, before, now in shift.words]
    return Statistic("words", "words", shift.auc, threshold, chance, text, parts)


def _beside(value: float, threshold: float) -> str:
    return "more than" if value > threshold else "at most"
