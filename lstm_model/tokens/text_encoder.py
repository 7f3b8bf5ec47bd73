"""Text to token_ids with a fitted tokenizer. A server loads this: it needs numpy and tokenizers only."""

import re
from array import array
from collections.abc import Sequence
from itertools import chain
from threading import Lock
from typing import TypeVar

import numpy as np
from tokenizers import Tokenizer, models

from lstm_model.arrays import Int32, Int64, UInt64
from lstm_model.tokens.words import ASCII_WORD

UNK_ID = 1
CHUNK_TEXTS = 4_096  # Limits the memory for pieces and Encoding objects.
KEPT_PIECES = 100_000  # About 15 MB. The first are kept: frequent pieces come early.
KEPT_CHARACTERS = 100
LONGEST_PIECE = 100_000  # Characters without a space that are read; tokenizing takes about 100 bytes for each.
CHARACTERS_PER_TOKEN = 16  # First guess for the length of a text's first max_length tokens.

Values = TypeVar("Values", Int32, UInt64)


class TextEncoder:
    """Encodes texts as its tokenizer does, several times faster: it remembers the token_ids of pieces it has seen.

    A piece is the text between two spaces. A word-level tokenizer never joins characters across a space, so the
    tokens of a text are those of its pieces in order (tests/library/test_text_encoder.py compares both on arbitrary
    Unicode). Other tokenizers get whole texts. Threads may share an encoder.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        if tokenizer.truncation is None:
            raise ValueError("The tokenizer has no truncation; fit_tokenizer sets its max_length.")
        self.max_length = int(tokenizer.truncation["max_length"])
        self.by_piece = isinstance(tokenizer.model, models.WordLevel)
        self.vocab = tokenizer.get_vocab() if self.by_piece else {}
        self.lowercase = tokenizer.normalizer.normalize_str("A") == "a"
        self.lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self.known = Numbering()
        # Piece n has the tokens from starts[n] to starts[n + 1]. Flat arrays: thousands of lists would make Python's
        # garbage collector run, which is slow with TensorFlow loaded.
        self.starts, self.tokens = array("q", [0]), array("i")

    def encode(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return token_ids: int32[sum of lengths], offsets: int64[N + 1]; row i is token_ids[offsets[i]:offsets[i+1]].

        A row has at most the tokenizer's max_length tokens. A text without any token (empty, blank, only accents) is
        the one token [UNK], so every row has length >= 1. Of a run of more than 100,000 characters without a space the
        first 100,000 are read. Raises TypeError for a text that UTF-8 cannot encode.
        """
        encode = self._encode_pieces if self.by_piece else self._encode_whole
        parts = [encode(texts[first : first + CHUNK_TEXTS]) for first in range(0, len(texts), CHUNK_TEXTS)]
        if not parts:
            return np.zeros(0, np.int32), np.zeros(1, np.int64)
        lengths = np.concatenate([length for _, length in parts])
        return np.concatenate([ids for ids, _ in parts]), starts_of(lengths)

    def _encode_whole(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        longest = LONGEST_PIECE + CHARACTERS_PER_TOKEN * self.max_length
        encodings = self.tokenizer.encode_batch_fast([text[:longest] for text in texts], add_special_tokens=False)
        rows = [encoding.ids or [UNK_ID] for encoding in encodings]
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int32)
        return flat, np.array([len(row) for row in rows], dtype=np.int64)

    def _encode_pieces(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return token_ids and lengths; of a long text, only the part with its first max_length tokens is read."""
        window = CHARACTERS_PER_TOKEN * self.max_length
        token_ids, lengths = self._look_up([_beginning(text, window) for text in texts])
        short = [row for row, text in enumerate(texts) if len(text) > window and lengths[row] < self.max_length]
        if short:
            rows: list[Int32] = np.split(token_ids, np.cumsum(lengths)[:-1])
            for row in short:
                text, width = re.sub(" {2,}", " ", texts[row]), window
                rows[row], _ = self._look_up([_beginning(text, width)])
                while width < len(text) and len(rows[row]) < self.max_length:
                    width *= 8
                    rows[row], _ = self._look_up([_beginning(text, width)])
            token_ids, lengths = np.concatenate(rows), np.array([len(row) for row in rows], dtype=np.int64)
        empty = lengths == 0
        return np.insert(token_ids, np.cumsum(lengths)[empty], UNK_ID), np.where(empty, 1, lengths)

    def _look_up(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return token_ids and lengths (0 for a row without tokens), each row cut to max_length."""
        counts = np.array([text.count(" ") + text.count("\n") + 1 for text in texts], dtype=np.int64)
        pieces = split_spaces(texts)
        with self.lock:
            try:
                numbers = self.known.of(pieces)
                self._learn()
                # Without a name for the arrays: they could not shrink while something refers to them.
                token_ids, bounds = texts_of(
                    np.asarray(self.tokens), np.frombuffer(self.starts, np.int64), numbers, counts
                )
                kept = self.known.drop_rare(KEPT_PIECES)
                del self.starts[kept + 1 :]
                del self.tokens[self.starts[-1] :]
            except BaseException:
                self._forget()  # No number may stay without its tokens.
                raise
        lengths = np.diff(bounds)
        if lengths.max() > self.max_length:
            inside = np.arange(len(token_ids)) - np.repeat(bounds[:-1], lengths) < self.max_length
            token_ids, lengths = token_ids[inside], np.minimum(lengths, self.max_length)
        return token_ids, lengths

    def _learn(self) -> None:
        """Tokenize the new pieces: ASCII with a regular expression, 5 times faster, others with the tokenizer."""
        new = [piece[:LONGEST_PIECE] for piece in self.known.new]
        others = [piece for piece in new if not piece.isascii()]
        encodings = iter(self.tokenizer.encode_batch_fast(others, add_special_tokens=False))
        find, token_id, tokens = ASCII_WORD.findall, self.vocab.get, self.tokens
        for piece in new:
            word = piece.lower() if self.lowercase else piece
            if not piece.isascii():
                tokens.extend(next(encodings).ids)
            elif word.isalnum():  # Most pieces are one word.
                tokens.append(token_id(word, UNK_ID))
            else:
                tokens.extend(token_id(part, UNK_ID) for part in find(word))
            self.starts.append(len(tokens))


class Numbering(dict[str, int]):
    """Numbers pieces in the order of their first use, and lists the new ones."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __missing__(self, piece: str) -> int:
        self.new.append(piece)
        self[piece] = number = len(self)
        return number

    def of(self, pieces: Sequence[str]) -> Int64:
        """Return the number of each piece."""
        return np.fromiter(map(self.__getitem__, pieces), np.int64, len(pieces))

    def drop_rare(self, most: int) -> int:
        """Keep the new pieces before the first long one, and at most so many in all; return how many there are."""
        new, self.new = self.new, []
        kept = next((place for place, piece in enumerate(new) if len(piece) > KEPT_CHARACTERS), len(new))
        for piece in new[max(0, min(kept, most - len(self) + len(new))) :]:
            del self[piece]
        return len(self)


def split_spaces(texts: Sequence[str]) -> list[str]:
    """Return what stands between spaces and line ends of all texts in order: no word crosses them."""
    return " ".join(texts).replace("\n", " ").split(" ")


def starts_of(widths: Int64) -> Int64:
    """Return where each of consecutive runs starts, and the end of the last: int64[N + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(widths)])


def texts_of(values: Values, starts: Int64, numbers: Int64, counts: Int64) -> tuple[Values, Int64]:
    """Return the values of texts in order, and where each text starts among them: int64[N + 1].

    Piece n has values[starts[n]:starts[n+1]]. numbers: the pieces of all texts in order; counts: how many each has.
    """
    first = starts[numbers]
    lengths = starts[numbers + 1] - first
    before = starts_of(lengths)
    places = np.repeat(first - before[:-1], lengths) + np.arange(before[-1])
    return values[places], before[starts_of(counts)]


def _beginning(text: str, window: int) -> str:
    """Return the first `window` characters and the rest of their last piece."""
    end = text.find(" ", window)
    return text if end < 0 else text[:end]
