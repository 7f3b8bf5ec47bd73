"""Labelled rows as token_ids, ragged: what the network is trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_model.tokens.text_encoder import Int32, Int64


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

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz without pickles."""
        np.savez(path, token_ids=self.token_ids, offsets=self.offsets, label_ids=self.label_ids)

    @classmethod
    def load(cls, path: Path) -> "EncodedRows":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["token_ids"], arrays["offsets"], arrays["label_ids"])

    def head(self, rows: int) -> "EncodedRows":
        """Return the first rows."""
        rows = min(rows, len(self))
        return EncodedRows(self.token_ids[: self.offsets[rows]], self.offsets[: rows + 1], self.label_ids[:rows])
