"""Texts -> pieces -> n-grams, each named by a 64-bit key. A server loads this: it needs numpy and tokenizers.

A piece is what stands between white space. Words and character n-grams never cross white space, so what a text
contains is the sum over its pieces, and a piece that was seen before is looked up, not read again. Only runs of two and
three words cross it, and joints: where two pieces meet, the last 1, 2 and 3 characters of one with as many first ones
of the other. Keys are hashes: two of a million n-grams share one with a probability of 3e-8.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from lstm_model.arrays import Int, Int64, UInt64
from lstm_model.tokens.text_encoder import starts_of
from lstm_model.tokens.words import INVISIBLE, split_words

LONGEST = 5  # Characters of an n-gram; the spaces around a piece count.
LONGEST_RUN = 3  # Words of an n-gram.
JOINT = 3  # Characters of a joint on either side.
CHARACTER_BITS = 21  # Of a code point.
READ_CHARACTERS = 20_000  # Of a text; bounds time and memory. A longer text is cut.
_INVISIBLE = re.compile(INVISIBLE)
ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, the usual multiplier of a Fibonacci hash.

_LENGTHS = np.arange(1, JOINT + 1, dtype=np.uint64)
_OUTER = (np.uint64(1) << np.uint64(CHARACTER_BITS) * _LENGTHS) - np.uint64(1)  # The outer 1, 2 and 3 characters.


def split_pieces(texts: Sequence[str]) -> tuple[list[str], Int64]:
    """Return the lower-cased pieces of all texts in order, and how many each text has: int64[N]."""
    rows = [_fold(text[:READ_CHARACTERS]).split() for text in texts]
    return list(chain.from_iterable(rows)), np.fromiter(map(len, rows), np.int64, len(rows))


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).lower()


def words_of(pieces: Sequence[str]) -> tuple[UInt64, Int64]:
    """Return keys and starts of the words, as the tokenizer splits them: piece i has keys[starts[i]:starts[i+1]]."""
    found = list(map(split_words, pieces))
    words = list(chain.from_iterable(found))
    starts = starts_of(np.fromiter(map(len, found), np.int64, len(found)))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    if not words:
        return np.zeros(0, np.uint64), starts
    bounds = starts_of(lengths)
    places = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
    powers = np.multiply.accumulate(np.full(int(lengths.max()), ODD))
    sums = np.add.reduceat(_characters("".join(words)) * powers[places], bounds[:-1])
    return _mix(sums), starts


def word_runs(keys: UInt64, starts: Int64) -> Iterator[tuple[UInt64, Int]]:
    """Yield, for two and for three neighbouring words, the keys of the runs and the text of each, in order.

    Text i has the words keys[starts[i]:starts[i+1]].
    """
    owners, runs = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts)), keys
    for length in range(2, LONGEST_RUN + 1):
        runs = _mix(runs[:-1] * ODD + keys[length - 1 :])
        inside = owners[length - 1 :] == owners[: len(runs)]
        yield runs[inside], owners[: len(runs)][inside]


def edges_of(pieces: Sequence[str]) -> UInt64:
    """Return the first and the last characters of each piece, each three packed in one number: uint64[P, 2]."""
    edges = "".join(end.ljust(JOINT, "\0") for piece in pieces for end in (piece[:JOINT], piece[: -JOINT - 1 : -1]))
    places = np.uint64(CHARACTER_BITS) * np.arange(JOINT, dtype=np.uint64)
    return np.asarray((_characters(edges).reshape(-1, 2, JOINT) << places).sum(axis=2, dtype=np.uint64))


def joints_of(edges: UInt64, starts: Int64) -> tuple[UInt64, Int64]:
    """Return the keys of the joints, and the text of each, in order; text i has edges[starts[i]:starts[i+1]]."""
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    first = np.flatnonzero(owners[1:] == owners[:-1])
    before, after = edges[first, 1, np.newaxis] & _OUTER, edges[first + 1, 0, np.newaxis] & _OUTER
    return _mix((before * ODD + after) * ODD + _LENGTHS).ravel(), np.repeat(owners[first], JOINT)


def character_ngrams(pieces: Sequence[str]) -> Iterator[tuple[UInt64, Int64]]:
    """Yield, for each length from 1 to 5, the keys of the n-grams of " piece " and the piece of each, in order.

    "ab": "a", "b"; " a", "ab", "b "; " ab", "ab "; " ab ".
    """
    text = _characters(f" {' '.join(pieces)} ")
    space = text == ord(" ")
    owners = np.cumsum(space) - 1  # A space counts for the piece after it.
    sums, inside = np.zeros(len(text) + 1, np.uint64), ~space
    for length in range(1, min(LONGEST, len(text)) + 1):
        sums = sums[:-1] * ODD + text[length - 1 :]
        if length == 2:
            inside = np.ones(len(sums), bool)
        elif length > 2:  # A space may stand at the ends only.
            inside = inside[:-1] & ~space[length - 2 : -1]
        yield _mix(sums[inside] + np.uint64(length)), owners[: len(sums)][inside]


def _characters(text: str) -> UInt64:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _mix(keys: UInt64) -> UInt64:
    """Return keys whose bits depend on all bits: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
