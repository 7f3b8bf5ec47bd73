"""Text to token_ids with a fitted tokenizer. Needs numpy and tokenizers only: it is what a server loads."""

import json
import re
from collections.abc import Sequence
from itertools import chain
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

UNK_ID = 1
CHUNK_TEXTS = 4_096  # Bounds the memory that pieces and Encoding objects take.
KEPT_PIECES = 100_000  # About 15 MB. The first are kept: frequent pieces come early.
KEPT_CHARACTERS = 100
LONGEST_PIECE = 100_000  # Characters without a space that are read; tokenizing takes about 100 bytes of each.
# The ASCII part of tokenization.WORD, for pieces without other characters.
ASCII_WORD = re.compile(r"[A-Za-z0-9_]+(?:'[A-Za-z]+)*|[^\t\n\x0b\x0c\r A-Za-z0-9_]")
CHARACTERS_PER_TOKEN = 16  # First guess of how much of a long text its first max_length tokens take.

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Int32, Int64]:
    """Encode once; see TextEncoder.encode."""
    return TextEncoder(tokenizer).encode(texts)


class TextEncoder:
    """Encodes texts as its tokenizer does, several times faster: it remembers the token_ids of pieces it has seen.

    A piece is what stands between two spaces. A word-level tokenizer never joins characters across a space, so the
    tokens of a text are those of its pieces, one after the other (tests/library/test_text_encoder.py holds the two
    against each other on arbitrary Unicode). Other tokenizers are called on whole texts. Safe to call from threads.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        truncation = tokenizer.truncation
        if truncation is None:
            raise ValueError("a tokenizer without truncation: fit_tokenizer sets its max_length")
        self.max_length = int(truncation["max_length"])
        self.by_piece = isinstance(tokenizer.model, models.WordLevel)
        self.vocab = tokenizer.get_vocab() if self.by_piece else {}
        normalizers = json.loads(tokenizer.to_str())["normalizer"]["normalizers"]
        self.lowercase = {"type": "Lowercase"} in normalizers
        self.lock = Lock()
        self._forget()

    def encode(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return token_ids: int32[sum of lengths], offsets: int64[N + 1]; row i is token_ids[offsets[i]:offsets[i+1]].

        A row holds at most the tokenizer's max_length tokens. A text without any token (empty, blank, only accents) is
        the one token [UNK], so every row has length >= 1. Of a run of more than 100,000 characters without a space the
        first 100,000 are read. Raises TypeError for a text that UTF-8 cannot hold.
        """
        encode = self._encode_pieces if self.by_piece else self._encode_whole
        parts = [encode(texts[first : first + CHUNK_TEXTS]) for first in range(0, len(texts), CHUNK_TEXTS)]
        if not parts:
            return np.zeros(0, np.int32), np.zeros(1, np.int64)
        lengths = np.concatenate([length for _, length in parts])
        return np.concatenate([ids for ids, _ in parts]), _starts(lengths)

    def _encode_whole(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        longest = LONGEST_PIECE + CHARACTERS_PER_TOKEN * self.max_length
        encodings = self.tokenizer.encode_batch_fast([text[:longest] for text in texts], add_special_tokens=False)
        rows = [encoding.ids or [UNK_ID] for encoding in encodings]
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int32)
        return flat, np.array([len(row) for row in rows], dtype=np.int64)

    def _encode_pieces(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return token_ids and lengths; of a long text only as much is read as its first max_length tokens take."""
        window = CHARACTERS_PER_TOKEN * self.max_length
        token_ids, lengths = self._look_up([_beginning(text, window) for text in texts])
        cut = [row for row, text in enumerate(texts) if len(text) > window and lengths[row] < self.max_length]
        if not cut:
            return _without_empty_rows(token_ids, lengths)
        rows: list[Int32] = np.split(token_ids, np.cumsum(lengths)[:-1])
        for row in cut:
            text, width = re.sub(" {2,}", " ", texts[row]), window
            rows[row], _ = self._look_up([_beginning(text, width)])
            while width < len(text) and len(rows[row]) < self.max_length:
                width *= 8
                rows[row], _ = self._look_up([_beginning(text, width)])
        return _without_empty_rows(np.concatenate(rows), np.array([len(row) for row in rows], dtype=np.int64))

    def _look_up(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return token_ids and lengths (0 for a row without tokens), each row cut to max_length."""
        counts = np.array([text.count(" ") + text.count("\n") + 1 for text in texts], dtype=np.int64)
        pieces = " ".join(texts).replace("\n", " ").split(" ")
        with self.lock:
            try:
                numbers = np.fromiter(map(self.known.__getitem__, pieces), np.int64, len(pieces))
                self._learn()
                token_ids, widths = self._tokens(numbers)
                self._drop_rare()
            except BaseException:
                self._forget()  # Numbers without tokens must not stay behind.
                raise
        bounds = _starts(widths)[_starts(counts)]
        lengths = np.diff(bounds)
        if lengths.max() > self.max_length:
            inside = np.arange(len(token_ids)) - np.repeat(bounds[:-1], lengths) < self.max_length
            token_ids, lengths = token_ids[inside], np.minimum(lengths, self.max_length)
        return token_ids, lengths

    def _tokens(self, numbers: Int64) -> tuple[Int32, Int64]:
        """Return the token_ids of known pieces, one after the other, and how many each has."""
        starts = self.starts.values[numbers]
        widths = self.starts.values[numbers + 1] - starts
        before = _starts(widths)
        places = np.repeat(starts - before[:-1], widths) + np.arange(before[-1])
        return self.tokens.values[places], widths

    def _learn(self) -> None:
        """Tokenize the pieces just met: ASCII by one expression, 5 times faster, others by the tokenizer.

        One flat list: lists by the thousand set off Python's garbage collector, which is slow beside TensorFlow.
        """
        new = [piece[:LONGEST_PIECE] for piece in self.known.new]
        others = [piece for piece in new if not piece.isascii()]
        encodings = iter(self.tokenizer.encode_batch_fast(others, add_special_tokens=False))
        find, known, lowercase = ASCII_WORD.findall, self.vocab.get, self.lowercase
        token_ids: list[int] = []
        ends: list[int] = []
        for piece in new:
            word = piece.lower() if lowercase else piece
            if not piece.isascii():
                token_ids += next(encodings).ids
            elif word.isalnum():  # Most pieces are one word.
                token_ids.append(known(word, UNK_ID))
            else:
                token_ids.extend(known(part, UNK_ID) for part in find(word))
            ends.append(len(token_ids))
        self.starts.append(self.tokens.size + np.array(ends, dtype=np.int64))
        self.tokens.append(np.array(token_ids, dtype=np.int32))

    def _drop_rare(self) -> None:
        """Keep of the pieces just learned those before the first long one, and no more than there is room for."""
        new, self.known.new = self.known.new, []
        kept = next((place for place, piece in enumerate(new) if len(piece) > KEPT_CHARACTERS), len(new))
        for piece in new[max(0, min(kept, KEPT_PIECES - len(self.known) + len(new))) :]:
            del self.known[piece]
        self.starts.size = len(self.known) + 1
        self.tokens.size = int(self.starts.values[-1])

    def _forget(self) -> None:
        self.known = _Numbering()
        # Piece n has the tokens from starts[n] to starts[n + 1].
        self.starts, self.tokens = _Growing(np.zeros(1, np.int64)), _Growing(np.zeros(0, np.int32))


class _Numbering(dict[str, int]):
    """Numbers pieces in the order they are met, and lists the new ones."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __missing__(self, piece: str) -> int:
        self.new.append(piece)
        self[piece] = number = len(self)
        return number


class _Growing:
    """An array that values are appended to; room doubles, so a short request does not copy what is known."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self.room, self.size = values, len(values)

    @property
    def values(self) -> npt.NDArray[Any]:
        return self.room[: self.size]

    def append(self, values: npt.NDArray[Any]) -> None:
        size = self.size + len(values)
        if size > len(self.room):
            self.room = np.concatenate([self.values, np.zeros(size, self.room.dtype)])
        self.room[self.size : size] = values
        self.size = size


def _starts(widths: Int64) -> Int64:
    """Return where each of consecutive runs begins, and the end of the last: int64[N + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(widths)])


def _beginning(text: str, window: int) -> str:
    """Return the first `window` characters and what follows them up to a space."""
    if len(text) <= window:
        return text
    end = text.find(" ", window)
    return text if end < 0 else text[:end]


def _without_empty_rows(token_ids: Int32, lengths: Int64) -> tuple[Int32, Int64]:
    """Give rows of no token the token [UNK]."""
    empty = lengths == 0
    if not empty.any():
        return token_ids, lengths
    return np.insert(token_ids, np.cumsum(lengths)[empty], UNK_ID), np.where(empty, 1, lengths)
