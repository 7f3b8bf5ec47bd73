"""Labelled rows of token_ids, ragged, mapped from disk; batches of rows of similar length, padded to the longest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_model.arrays import Int32, Int64

PAD_ID = 0
ARRAYS = ("token_ids", "offsets", "label_ids")


@dataclass(frozen=True)
class EncodedRows:
    """Rows as token_ids: int32[sum of lengths], offsets: int64[N + 1], label_ids: int32[N]."""

    token_ids: Int32
    offsets: Int64
    label_ids: Int32

    def __len__(self) -> int:
        return len(self.label_ids)

    @property
    def lengths(self) -> Int64:
        """Tokens of each row: int64[N]."""
        return np.diff(self.offsets)

    def save(self, folder: Path, name: str) -> None:
        """Write an .npy file for each array, without pickles."""
        for array in ARRAYS:
            np.save(folder / f"{name}_{array}.npy", getattr(self, array))

    @classmethod
    def load(cls, folder: Path, name: str) -> "EncodedRows":
        """Map the arrays that `save` wrote: the system reads a page when a batch first needs it, and may drop it."""
        return cls(*(np.load(folder / f"{name}_{array}.npy", "r", allow_pickle=False) for array in ARRAYS))

    def head(self, rows: int) -> "EncodedRows":
        """Return the first rows."""
        rows = min(rows, len(self))
        return EncodedRows(self.token_ids[: self.offsets[rows]], self.offsets[: rows + 1], self.label_ids[:rows])


def length_batches(lengths: Int64, batch_size: int, *, max_tokens: int | None = None) -> Iterator[Int64]:
    """Yield row numbers in batches of rows of similar length, shortest first; ties keep the order of the rows.

    max_tokens bounds rows times longest row, so that one long row does not widen a large batch.
    """
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        size = min(batch_size, len(order) - first)
        while max_tokens and size > 1 and size * int(lengths[order[first + size - 1]]) > max_tokens:
            size = max(1, size // 2)
        yield order[first : first + size]
        first += size


def pad_batch(token_ids: Int32, offsets: Int64, rows: Int64) -> Int32:
    """Return token_ids: int32[B, L] of the given rows, right-padded with 0 to the longest of them.

    Rows of 2 and 3 tokens: [[5, 9, 0], [7, 3, 4]]. Right-padded: cuDNN's masked LSTM requires it (Keras LSTM docs).
    """
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    columns = np.arange(int(lengths.max()))
    inside = columns < lengths[:, None]
    padded = np.full(inside.shape, PAD_ID, dtype=np.int32)
    padded[inside] = token_ids[(starts[:, None] + columns)[inside]]
    return padded
