"""Word vectors from a file, for the words of a vocabulary. Does not load TensorFlow.

Formats, recognised by content: GloVe text (a line is a word and its numbers), the same after a line `words width`
(fastText .vec, word2vec text), and word2vec binary; each also gzipped. The file is read as a stream, and numbers are
parsed only for words that match, so millions of words need the memory of the vocabulary.
"""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from lstm_model.arrays import Bool, Float32, Int32
from lstm_model.data.formats.packed import open_unpacked
from lstm_model.errors import ContentError, UsageError
from lstm_model.tokens.text_encoder import UNK_ID

BLOCK = 1 << 20  # Longer lines are refused.
EXACT, NORMALIZED = 2, 1
FOREIGN = {  # First bytes of files that people pass by mistake, and what to do.
    b"\xba\x16\x4f\x2f": ("a fastText model", "Pass the .vec file that belongs to it."),
    codecs.BOM_UTF16_LE: ("UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
    codecs.BOM_UTF16_BE: ("UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
}
AGAIN = "Copy or download it again; if you shortened it on purpose, correct the number of words in its first line."

Entry = tuple[int, bytes, bytes]  # Number of the line or vector from 1, word, numbers.


@dataclass(frozen=True)
class WordVectors:
    """rows: float32[V, E], the initial embedding; matched: bool[V], the rows that come from the file."""

    rows: Float32
    matched: Bool

    @property
    def vocabulary_share(self) -> float:
        """Return the share of vocabulary entries that matched; [PAD] and [UNK] do not count."""
        return float(self.matched.sum() / max(len(self.matched) - UNK_ID - 1, 1))

    def token_share(self, token_ids: Int32) -> float:
        """Return the share of tokens whose row comes from the file; unknown tokens count as unmatched."""
        return float(self.matched[token_ids].mean())


def check_word_vectors(path: Path, *, embedding_dim: int) -> None:
    """Check the start of the file; raises what `read_word_vectors` raises for it."""
    with open_unpacked(path) as file:
        _VectorFile(path, file, embedding_dim)


def read_word_vectors(path: Path, tokenizer: Tokenizer, *, embedding_dim: int, seed: int) -> WordVectors:
    """Return the vectors for the vocabulary of a word-level tokenizer.

    A word of the file belongs to the token that it equals, else to the token that the tokenizer's normalizer makes of
    it. A word that equals the token wins; of several, the first, since files are ordered by frequency. Other rows are
    drawn from a normal distribution with mean 0 and the standard deviation of all matched values; [PAD] is zero.

    Raises UsageError for a missing file, and if its width is not embedding_dim; ContentError for one that cannot be
    read, or if no word matches.
    """
    vocab = {token: token_id for token, token_id in tokenizer.get_vocab().items() if token_id > UNK_ID}
    rows = np.zeros((tokenizer.get_vocab_size(), embedding_dim), np.float32)
    found, normalize = bytearray(len(rows)), _normalizer(tokenizer)
    words = undecodable = first = 0
    with open_unpacked(path) as file:
        vectors = _VectorFile(path, file, embedding_dim)
        for number, raw, numbers in vectors.entries():
            words += 1
            try:
                word = raw.decode()
            except UnicodeDecodeError:
                undecodable, first = undecodable + 1, first or number
                continue
            token_id, rank = vocab.get(word), EXACT
            if token_id is None:
                token_id, rank = vocab.get(normalize(word)), NORMALIZED
            if token_id is not None and found[token_id] < rank:
                rows[token_id] = vectors.parse(number, raw, numbers)
                found[token_id] = rank
    if undecodable * 1_000 > words:  # Public files have a few words that were cut inside a character.
        problem = f"{path} is not UTF-8: {undecodable} of {words} words, the first in {vectors.place(first)}."
        raise ContentError(problem, "Convert the file to UTF-8 (for example iconv -f WINDOWS-1252 -t UTF-8).")
    matched = np.frombuffer(found, np.uint8) > 0
    if not matched.any():
        raise ContentError(
            f"None of the {words} words in {path} is in the vocabulary of the train rows.",
            "Use vectors for the language of the texts, or unset --model.word-vectors.",
        )
    others = ~matched
    others[0] = False
    rows[others] = np.random.default_rng(seed).normal(0, rows[matched].std(), (int(others.sum()), embedding_dim))
    return WordVectors(rows, matched)


def _normalizer(tokenizer: Tokenizer) -> Callable[[str], str]:
    """Return the tokenizer's normalization, which for ASCII is at most lower case (ten times faster)."""
    whole = tokenizer.normalizer.normalize_str
    ascii_only = str.lower if whole("A") == "a" else str
    return lambda word: ascii_only(word) if word.isascii() else str(whole(word))


class _VectorFile:
    """An open file, read to its first vector. width: numbers of a vector; count: words, if the first line says so."""

    def __init__(self, path: Path, file: io.BufferedReader, embedding_dim: int) -> None:
        self.path, self.file, self.width = path, file, embedding_dim
        start = file.peek(BLOCK)
        if not start:
            raise ContentError(f"{path} is an empty file.", "Check the path, or export the vectors again.")
        for magic, (what, remedy) in FOREIGN.items():
            if start.startswith(magic):
                raise ContentError(f"{path} is {what}, not word vectors.", remedy)
        first, _, rest = start.removeprefix(codecs.BOM_UTF8).partition(b"\n")
        header = re.fullmatch(rb"(\d+) (\d+)\s*", first)
        count, width = map(int, header.groups()) if header else (None, _count_numbers(first))
        if not width:
            raise self.no_vector(1, first)
        if width != embedding_dim:
            raise UsageError(
                f"The vectors in {path} have {width} numbers, but model.embedding_dim is {embedding_dim}.",
                f"Pass --model.embedding-dim {width}, or name another file.",
            )
        file.read(len(codecs.BOM_UTF8) * start.startswith(codecs.BOM_UTF8))
        if header:
            file.readline()
        self.count, self.binary = count, header is not None and _is_binary(rest, width)

    def entries(self) -> Iterator[Entry]:
        return self._binary_entries() if self.binary else self._lines()

    def _lines(self) -> Iterator[Entry]:
        words, before = 0, 0 if self.count is None else 1
        for number, line in enumerate(iter(partial(self.file.readline, BLOCK), b""), before + 1):
            text = line.rstrip()
            word, _, numbers = text.partition(b" ")
            if text.count(b" ") != self.width:  # Rare: words with spaces, such as ". . .", or a broken line.
                if not text:
                    continue
                word, numbers = _split_from_the_right(text, self.width)
                if not numbers:
                    raise self.no_vector(number, line)
            words += 1
            yield number, word, numbers
        if not words or words < (self.count or 0):
            raise ContentError(f"{self.path} ends after {words} of {self.count} words.", AGAIN)

    def _binary_entries(self) -> Iterator[Entry]:
        size, block, at = 4 * self.width, b"", 0
        for number in range(1, (self.count or 0) + 1):
            while (end := block.find(b" ", at)) < 0 or len(block) < end + 1 + size:
                more = self.file.read(BLOCK)
                if not more or (end < 0 and len(block) - at > BLOCK):
                    raise ContentError(f"{self.path} ends after {number - 1} of {self.count} words.", AGAIN)
                block, at = block[at:] + more, 0
            yield number, block[at:end].lstrip(b"\n"), block[end + 1 : end + 1 + size]
            at = end + 1 + size

    def parse(self, number: int, word: bytes, numbers: bytes) -> Float32:
        if self.binary:
            values = np.frombuffer(numbers, "<f4")
        else:
            try:
                with np.errstate(over="ignore"):
                    values = np.array([float(text) for text in numbers.split(b" ")]).astype(np.float32)
            except ValueError:
                raise self.no_vector(number, word + b" " + numbers) from None
        if not np.isfinite(values).all():
            problem = f"The vector in {self.place(number)} of {self.path} has a value that is no finite float32 number."
            raise ContentError(problem, "Remove that word, or export the vectors again.")
        return values

    def place(self, number: int) -> str:
        return f"vector {number}" if self.binary else f"line {number}"

    def no_vector(self, number: int, line: bytes) -> ContentError:
        shown = line[:60].decode("utf-8", "replace").rstrip()
        return ContentError(
            f"Line {number} of {self.path} is not a word and {self.width} numbers, separated by single spaces, but "
            f"{shown!r}, which ends with {_count_numbers(line)} numbers.",
            "Correct or remove the line. If the file was cut off, copy it again.",
        )


def _is_binary(start: bytes, width: int) -> bool:
    """Return whether the first vector is `word`, a space and float32 values: no line of numbers, and no text."""
    if _count_numbers(start.partition(b"\n")[0]) == width:
        return False
    values = start.partition(b" ")[2][: 4 * width]
    return not values.isascii() or re.search(rb"[\x00-\x08\x0e-\x1f]", values) is not None


def _split_from_the_right(line: bytes, width: int) -> tuple[bytes, bytes]:
    """Return word and numbers of a line whose word has spaces; no numbers if it is no such line."""
    word, *numbers = line.rsplit(b" ", width)
    extra = word.split(b" ")[1:]
    broken = len(numbers) < width or _count_numbers(line) < width or all(map(_is_number, extra))
    return word, b"" if broken else b" ".join(numbers)


def _count_numbers(line: bytes) -> int:
    """Return how many numbers end the line; its first field is a word."""
    return sum(1 for _ in takewhile(_is_number, reversed(line.rstrip().split(b" ")[1:])))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
