"""Profiles of answered rows, from which drift is computed: counts, and a bounded sample of the texts as token_ids.

A registered version stores the profile of held-out rows; each scored batch gets its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from lstm_model.arrays import Int32, Int64, UInt64
from lstm_model.digests import digest_text
from lstm_model.errors import ModelError
from lstm_model.tokens.text_encoder import UNK_ID, TextEncoder

FORMAT_VERSION = 1
SAMPLE_ROWS, SEED = 2_000, 42
# In log-odds, because the scores of a good network are close to 1, where bins of equal width cannot separate them.
LOG_ODDS_EDGES = np.linspace(-10.0, 17.0, 271)
SUMMARY, SAMPLE = "reference.json", "reference.npz"
ARRAYS = ("confidence", "token_ids", "offsets", "digests")


@dataclass(frozen=True)
class Profile:
    """classes: int64[C], rows by predicted label. confidence: int64[270], rows by log-odds of that label.

    The sample has S <= 2,000 rows: token_ids int32[sum of lengths], offsets int64[S + 1], digests uint64[S] of texts.
    """

    labels: list[str]
    classes: Int64
    confidence: Int64
    token_ids: Int32
    offsets: Int64
    digests: UInt64

    @property
    def rows(self) -> int:
        return int(self.classes.sum())

    @property
    def lengths(self) -> Int64:
        """Tokens of each sampled row that the network reads: int64[S]."""
        return np.diff(self.offsets)

    @property
    def unknown(self) -> Int64:
        """Unknown tokens of each sampled row: int64[S]."""
        return np.add.reduceat((self.token_ids == UNK_ID).astype(np.int64), self.offsets[:-1]).astype(np.int64)

    @property
    def unknown_rate(self) -> float:
        """Share of the sample's tokens that are unknown."""
        return float(self.unknown.sum() / max(1, len(self.token_ids)))

    def effective_rows(self, rows: int | None = None) -> float:
        """Return Kish's effective sample size of `rows` rows, by default all; copies of a text add little.

        It is rows / (1 + (rows - 1) * p), with p the chance that two rows have the same text, estimated in the sample.
        """
        rows = self.rows if rows is None else rows
        size = len(self.digests)
        if size < 2:
            return float(min(rows, size))
        _, counts = np.unique(self.digests, return_counts=True)
        same = float((counts * (counts - 1.0)).sum() / (size * (size - 1.0)))
        return rows / (1 + (rows - 1) * same)


@dataclass(frozen=True)
class Reference:
    """The profile of the rows that a version was evaluated on, its test rows and how many it answered right."""

    profile: Profile
    test_rows: int
    test_right: int

    def save(self, folder: Path) -> None:
        """Write reference.json and, without pickles, reference.npz."""
        profile = self.profile
        summary = {
            "format_version": FORMAT_VERSION,
            "rows": profile.rows,
            "classes": dict(zip(profile.labels, profile.classes.tolist(), strict=True)),
            "median_tokens": float(np.median(profile.lengths)),
            "unknown_rate": profile.unknown_rate,
            "test_rows": self.test_rows,
            "test_right": self.test_right,
        }
        (folder / SUMMARY).write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        np.savez_compressed(folder / SAMPLE, **{name: getattr(profile, name) for name in ARRAYS})

    @classmethod
    def load(cls, folder: Path) -> "Reference | None":
        """Return the reference in a classifier's folder, or None; raises ModelError if it is damaged."""
        if not (folder / SUMMARY).exists():
            return None
        try:
            summary = json.loads((folder / SUMMARY).read_text("utf-8"))
            if summary["format_version"] > FORMAT_VERSION:
                raise ValueError(f"format {summary['format_version']} is from a later version of this package")
            with np.load(folder / SAMPLE, allow_pickle=False) as arrays:
                sample = {name: arrays[name] for name in ARRAYS}
            classes = np.array(list(summary["classes"].values()), dtype=np.int64)
            profile = Profile(labels=list(summary["classes"]), classes=classes, **sample)
            return cls(profile, test_rows=summary["test_rows"], test_right=summary["test_right"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise ModelError(
                f"The training reference ({SUMMARY}, {SAMPLE}) in {folder} cannot be read ({reason}).",
                "Register the model again, or skip the comparison with --no-drift.",
            ) from None


class ProfileBuilder:
    """Collects a profile from chunks, in bounded memory."""

    def __init__(self, labels: list[str], encoder: TextEncoder) -> None:
        self.labels, self.encoder = labels, encoder
        self.classes = np.zeros(len(labels), np.int64)
        self.confidence = np.zeros(len(LOG_ODDS_EDGES) - 1, np.int64)
        self.kept: list[tuple[int, int, int, Int32]] = []  # Priority, row, digest, token_ids.
        self.limit = np.iinfo(np.uint64).max

    def see_texts(self, texts: Sequence[str | None], *, first_row: int) -> None:
        """Add the rows of a chunk with the lowest priorities to the sample; None is skipped."""
        # A priority depends only on the row number, so chunks and pauses do not change the sample.
        priorities = _shuffled(np.arange(first_row, first_row + len(texts), dtype=np.uint64))
        places = [i for i in np.flatnonzero(priorities <= self.limit).tolist() if texts[i] is not None]
        chosen = [texts[i] or "" for i in places]
        token_ids, offsets = self.encoder.encode(chosen)
        for number, (place, text) in enumerate(zip(places, chosen, strict=True)):
            tokens = token_ids[offsets[number] : offsets[number + 1]].copy()
            self.kept.append((int(priorities[place]), first_row + place, int(digest_text(text)[:16], 16), tokens))
        if len(self.kept) > SAMPLE_ROWS:
            self.kept = sorted(self.kept, key=lambda entry: entry[0])[:SAMPLE_ROWS]
            self.limit = self.kept[-1][0]

    def see_answers(self, probabilities: npt.NDArray[np.floating[Any]]) -> None:
        """Count the labels and the confidence of answers: float[N, C]."""
        self.classes += np.bincount(probabilities.argmax(axis=1), minlength=len(self.labels))
        score = np.clip(probabilities.max(axis=1).astype(np.float64), 1e-12, 1 - 1e-7)
        odds = np.clip(np.log(score / (1 - score)), LOG_ODDS_EDGES[0], LOG_ODDS_EDGES[-1])
        self.confidence += np.histogram(odds, LOG_ODDS_EDGES)[0]

    def profile(self) -> Profile:
        """Return the profile of all rows so far, the sample in row order."""
        kept = sorted(self.kept, key=lambda entry: entry[1])
        rows = [tokens for *_, tokens in kept]
        return Profile(
            labels=self.labels,
            classes=self.classes,
            confidence=self.confidence,
            token_ids=np.concatenate([np.zeros(0, np.int32), *rows]),
            offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
            digests=np.array([digest for _, _, digest, _ in kept], dtype=np.uint64),
        )


def _shuffled(rows: UInt64) -> UInt64:
    """Return a pseudo-random uint64 for each row number: SplitMix64 (Steele, Lea, Flood 2014)."""
    mixed = rows * np.uint64(0x9E3779B97F4A7C15) + np.uint64(SEED * 0xD1342543DE82EF95 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
