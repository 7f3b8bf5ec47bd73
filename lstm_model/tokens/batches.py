"""Rows of token_ids -> batches of similar length, padded only as far as the longest row in each."""

from collections.abc import Iterator

import numpy as np

from lstm_model.arrays import Int32, Int64

PAD_ID = 0


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
