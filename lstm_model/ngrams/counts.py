"""Texts -> sparse counts of n-grams, for fitting."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from lstm_model.arrays import Bool, Int, Int64, UInt64
from lstm_model.ngrams.pieces import character_ngrams, edges_of, joints_of, split_pieces, word_runs, words_of
from lstm_model.tokens.text_encoder import CHUNK_TEXTS, Numbering, starts_of, texts_of

Kind = Literal["words", "characters"]
KINDS: tuple[Kind, ...] = ("words", "characters")
Csr = Any  # scipy.sparse.csr_matrix, which has no types.
BLOCK_PIECES = 100_000  # Read at once; bounds memory.


def count_ngrams(
    texts: Sequence[str], kind: Kind, wanted: UInt64 | None = None, *, least: int = 1
) -> tuple[UInt64, Csr]:
    """Return keys: uint64[F], sorted, and counts: float32[N, F]; with `wanted`, of these keys only.

    words: single words and runs of two and three. characters: 1 to 5 characters without inner white space, and joints.
    least: how often a run of words must occur in all. Most occur once, and are dropped before they take memory.
    """
    codes, distinct, widths = _number_pieces(texts)
    if kind == "words":
        return _count_words(codes, distinct, widths, wanted, least)
    blocks = [
        (keys, owners + first)
        for first in range(0, len(distinct), BLOCK_PIECES)
        for keys, owners in character_ngrams(distinct[first : first + BLOCK_PIECES])
    ]
    keys, owners = map(np.concatenate, zip(*blocks, strict=True)) if blocks else (np.zeros(0, np.uint64), codes)
    keys, in_pieces = _matrix(keys, owners, len(distinct), wanted)
    starts = starts_of(widths)
    inner = sparse.csr_matrix((np.ones(len(codes), np.float32), codes, starts), (len(texts), len(distinct))) @ in_pieces
    joints = _matrix(*joints_of(edges_of(distinct)[codes], starts), len(texts), wanted)
    return _added([(keys, inner), joints], wanted)


def first_words(texts: Sequence[str]) -> UInt64:
    """Return the keys of the single words of the texts, sorted: uint64."""
    return np.unique(words_of(_number_pieces(texts)[1])[0])


def most_frequent(frequency: Int64, kept: Bool, most: int) -> Int64:
    """Return the columns that are kept, in order, or the `most` of them with the highest frequency."""
    columns = np.flatnonzero(kept)
    return np.sort(columns[np.argsort(-frequency[columns], kind="stable")[:most]])


def _number_pieces(texts: Sequence[str]) -> tuple[Int64, list[str], Int64]:
    """Return the number of each piece, in order, the distinct pieces, and how many pieces each text has."""
    known, codes, widths = Numbering(), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first in range(0, len(texts), CHUNK_TEXTS):
        pieces, counts = split_pieces(texts[first : first + CHUNK_TEXTS])
        codes.append(known.of(pieces))
        widths.append(counts)
    return np.concatenate(codes), known.new, np.concatenate(widths)


def _count_words(
    codes: Int64, distinct: Sequence[str], widths: Int64, wanted: UInt64 | None, least: int
) -> tuple[UInt64, Csr]:
    """Return keys and counts of words and their runs, counted one length after the other, which takes less memory."""
    words, bounds = texts_of(*words_of(distinct), codes, widths)
    owners: Int = np.repeat(np.arange(len(widths), dtype=np.int32), np.diff(bounds))
    parts = [_matrix(words, owners, len(widths), wanted)]
    for runs, owners in word_runs(words, bounds):
        keys, counts = _matrix(runs, owners, len(widths), wanted)
        if wanted is None and least > 1:
            kept = np.flatnonzero(np.bincount(counts.indices, counts.data, len(keys)) >= least)
            keys, counts = keys[kept], counts[:, kept]
        parts.append((keys, counts))
    return _added(parts, wanted)


def _matrix(keys: UInt64, owners: Int, rows: int, wanted: UInt64 | None) -> tuple[UInt64, Csr]:
    """Return the sorted keys and how often each occurs in each row."""
    if wanted is None:
        # For 20 million keys, np.unique, which sorts them all, takes 6 times as long and 0.4 GB more.
        found, wanted = pd.factorize(keys)
        order = np.argsort(wanted)
        places = np.empty(len(order), np.int32)  # As SciPy keeps them; 64 bits would be copied.
        places[order] = np.arange(len(order))
        wanted = wanted[order]
        columns: Int = places[found]
    else:
        columns = np.searchsorted(wanted, keys)
        inside = np.flatnonzero(wanted[np.minimum(columns, len(wanted) - 1)] == keys) if len(wanted) else columns[:0]
        owners, columns = owners[inside], columns[inside]
    ones = np.ones(len(columns), np.float32)
    return wanted, sparse.coo_matrix((ones, (owners, columns)), shape=(rows, len(wanted))).tocsr()


def _added(parts: Sequence[tuple[UInt64, Csr]], wanted: UInt64 | None) -> tuple[UInt64, Csr]:
    """Return the keys of all parts and the sum of their counts; with `wanted`, all parts have these keys."""
    if wanted is None:
        wanted = reduce(np.union1d, [keys for keys, _ in parts])
        parts = [(wanted, _spread(counts, keys, wanted)) for keys, counts in parts]
    return wanted, reduce(add, [counts for _, counts in parts])


def _spread(counts: Csr, keys: UInt64, wanted: UInt64) -> Csr:
    """Return counts of `wanted`, sorted keys that contain `keys`."""
    columns = np.searchsorted(wanted, keys).astype(np.int32)
    return sparse.csr_matrix((counts.data, columns[counts.indices], counts.indptr), (counts.shape[0], len(wanted)))
