"""The fitted n-grams as served: texts -> the margins of each part. Needs numpy only; weights stay on disk, mapped."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np

from lstm_model.arrays import Float32, Int, Int64, UInt64
from lstm_model.ngrams.pieces import character_ngrams, edges_of, joints_of, split_pieces, word_runs, words_of
from lstm_model.tokens.text_encoder import Numbering, starts_of, texts_of

KEPT_NUMBERS = 4_000_000  # Remembered sums of pieces: 16 MB. The first are kept: frequent pieces come early.
TINY = np.float32(1e-30)  # Instead of 0, the norm of a text without a known n-gram.
BLOCK_NUMBERS = 250_000  # Texts that are answered at once, times numbers for each; bounds memory.


def table_files(name: str) -> tuple[str, str]:
    """Return the names of the files with the keys and with the weights of a part."""
    return f"{name}_keys.npy", f"{name}_weights.npy"


class NgramTable:
    """A table that `fit.Ngrams.save` wrote: the weights stay on disk, mapped; the keys are in memory."""

    def __init__(self, folder: Path, name: str) -> None:
        keys_file, rows_file = table_files(name)
        # float32[F + 1, C + 1]: the weights of an n-gram and its share of the squared norm; last, the intercepts.
        self.rows: Float32 = np.asarray(np.load(folder / rows_file, mmap_mode="r", allow_pickle=False))
        keys: UInt64 = np.load(folder / keys_file, allow_pickle=False)
        if self.rows.ndim != 2 or len(self.rows) != len(keys) + 1 or (keys[1:] <= keys[:-1]).any():
            raise ValueError(f"{keys_file} and {rows_file} do not fit together")
        self.keys = np.append(keys, np.uint64(2**64 - 1))
        # Keys are hashes, so a bucket of their first bits holds about one.
        bits = len(keys).bit_length()
        self.shift = np.uint64(64 - bits)
        self.first = np.searchsorted(self.keys, np.arange(1 << bits, dtype=np.uint64) << self.shift)

    def sums(self, keys: UInt64, owners: Int, size: int) -> Float32:
        """Return the sum of the keys' rows by owner (a text or piece; in order): float32[size, C + 1]."""
        rows = self.first[keys >> self.shift]
        behind = np.flatnonzero(self.keys[rows] < keys)
        while behind.size:
            rows[behind] += 1
            behind = behind[self.keys[rows[behind]] < keys[behind]]
        places = np.flatnonzero(self.keys[rows] == keys)  # Of the keys that the table has.
        return sum_runs(self.rows[rows[places]], np.bincount(owners[places], minlength=size))


class NgramModel:
    """Answers texts with the parts `words` and `characters`, or one of them; safe to call from several threads."""

    def __init__(self, tables: Mapping[str, NgramTable]) -> None:
        self.tables = tables
        ends = np.cumsum([0, *(table.rows.shape[1] for table in tables.values())]).tolist()
        self.columns = {name: slice(*pair) for name, pair in zip(tables, pairwise(ends), strict=True)}
        self.width = ends[-1]
        self.lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self.known = Numbering()
        self.sums = array("f")  # `width` for each known piece, the parts next to each other.
        self.words, self.starts = array("Q"), array("q", [0])  # Keys of the words of each known piece.
        self.edges = array("Q")  # Two for each known piece.

    def margins(self, texts: Sequence[str]) -> dict[str, Float32]:
        """Return float32[N, C] for each part: how far each text is on each label's side."""
        size = max(16, BLOCK_NUMBERS // self.width)
        blocks = [self._block(texts[first : first + size]) for first in range(0, len(texts), size)]
        answered = np.concatenate([np.zeros((0, self.width), np.float32), *blocks])
        margins = {}
        for name, table in self.tables.items():
            sums = answered[:, self.columns[name]]
            norms = np.maximum(np.sqrt(sums[:, -1:]), TINY)
            margins[name] = np.asarray(sums[:, :-1] / norms + table.rows[-1, :-1], np.float32)
        return margins

    def _block(self, texts: Sequence[str]) -> Float32:
        """Return the sums of each text: float32[N, width]."""
        pieces, widths = split_pieces(texts)
        with self.lock:
            try:
                numbers = self._numbers(pieces)
                sums = sum_runs(np.frombuffer(self.sums, np.float32).reshape(-1, self.width)[numbers], widths)
                across = [(name, *ngrams) for name in self.tables for ngrams in self._across(name, numbers, widths)]
                kept = self.known.drop_rare(KEPT_NUMBERS // self.width)
                del self.sums[kept * self.width :]
                del self.starts[kept + 1 :]
                del self.words[self.starts[-1] :]
                del self.edges[2 * kept :]
            except BaseException:
                self._forget()  # No number may stay without its sums.
                raise
        for name, keys, owners in across:
            sums[:, self.columns[name]] += self.tables[name].sums(keys, owners, len(texts))
        return sums

    def _across(self, name: str, numbers: Int64, widths: Int64) -> Iterator[tuple[UInt64, Int]]:
        """Yield the keys of a part's n-grams across pieces, and the text of each; numbers: of the pieces, in order."""
        # Nothing may refer to the arrays afterwards: they could not shrink.
        if name == "words":
            words, starts = np.frombuffer(self.words, np.uint64), np.frombuffer(self.starts, np.int64)
            return word_runs(*texts_of(words, starts, numbers, widths))
        edges = np.frombuffer(self.edges, np.uint64).reshape(-1, 2)
        return iter([joints_of(edges[numbers], starts_of(widths))])

    def _numbers(self, pieces: Sequence[str]) -> Int64:
        """Return the number of each piece, after learning the new ones."""
        numbers = self.known.of(pieces)
        if new := self.known.new:
            words, starts = words_of(new)
            self.starts.frombytes((starts[1:] + self.starts[-1]).tobytes())
            self.words.frombytes(words.tobytes())
            self.edges.frombytes(edges_of(new).tobytes())
            self.sums.frombytes(self._read(new, words, starts).data.cast("B"))
        return numbers

    def _read(self, pieces: Sequence[str], word_keys: UInt64, starts: Int64) -> Float32:
        """Return the sums of the n-grams inside each piece, runs of words left out: float32[P, width]."""
        parts = []
        if words := self.tables.get("words"):
            parts.append(words.sums(word_keys, np.repeat(np.arange(len(pieces)), np.diff(starts)), len(pieces)))
        if characters := self.tables.get("characters"):
            grams = character_ngrams(pieces)
            parts.append(np.sum([characters.sums(keys, owners, len(pieces)) for keys, owners in grams], axis=0))
        return np.concatenate(parts, axis=1)


def sum_runs(values: Float32, lengths: Int64) -> Float32:
    """Return the sums of consecutive runs of rows, 0 for an empty run: float32[number of runs, width]."""
    sums = np.zeros((len(lengths), values.shape[1]), np.float32)
    filled = lengths > 0
    if filled.any():
        sums[filled] = np.add.reduceat(values, starts_of(lengths)[:-1][filled], axis=0)
    return sums
