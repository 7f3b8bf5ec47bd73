"""Labelled rows as token_ids, ragged: what the network is trained on. They stay on disk, mapped into memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_model.arrays import Int32, Int64

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
