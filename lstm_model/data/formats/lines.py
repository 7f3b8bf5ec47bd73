"""A text file as numbered lines, decoded: UTF-8, UTF-16 or UTF-32 by its first bytes, any other if it is named."""

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple, TextIO

from lstm_model.data.formats.packed import BLOCK, open_unpacked
from lstm_model.errors import ContentError

LONGEST_LINE = 1 << 24
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # Before UTF-16, whose mark it begins with.
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ESCAPED = re.compile(rb'\\\0{0,3}"')


@dataclass
class Reading:
    """How lines became rows, for the log; complete after the last row."""

    files: int = 0
    lines: int = 0
    headers: int = 0
    rows: int = 0
    blank: int = 0
    joined: int = 0  # Lines that continue the row of the line before, inside a quoted field.
    first_joined: int | None = None  # The line in which the first row of several lines starts.
    unanswered: int = 0  # Rows of an annotation tool that have no accepted answer, and are left out.
    notes: list[str] = field(default_factory=list)  # What was found out about the file, such as its separator.

    def note(self, text: str | None) -> None:
        """Add what was found out, once."""
        if text and text not in self.notes:
            self.notes.append(text)

    @property
    def account(self) -> str | None:
        """The counts and notes in one line; None where there is nothing to say."""
        headers = f"{self.headers or 'no'} header{'s' * (self.headers > 1)}"
        parts = [f"{self.lines:,} lines: {headers}", f"{self.rows:,} rows"] if self.lines else []
        parts += [f"{self.blank:,} blank"] if self.blank else []
        parts += [f"{self.joined:,} inside quoted fields (from line {self.first_joined})"] if self.joined else []
        parts += [f"{self.unanswered:,} without an accepted answer left out"] if self.unanswered else []
        files = [f"{self.files:,} files"] if self.files > 1 else []
        return "; ".join([*files, *filter(None, [", ".join(parts)]), *self.notes]) or None


def find_encoding(start: bytes) -> str:
    """Return the encoding of a file by its first bytes: by its mark, or by where UTF-16 has zero bytes."""
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    high, low = start[0::2].count(0), start[1::2].count(0)
    if max(high, low) > 10 * min(high, low) and (high + low > len(start) / 5 or not _is_utf8(start)):
        return "utf-16-be" if high > low else "utf-16-le"
    return "utf-8"


def _is_utf8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def open_text(path: Path, encoding: str | None) -> Iterator[TextIO]:
    """Give the unpacked content as text, its line ends as they are. encoding: unset, found from the first bytes.

    Raises ContentError for bytes that are not of this encoding.
    """
    file = open_unpacked(path)
    found = find_encoding(file.peek(4096)[:4096])
    same_family = encoding is None or found.startswith(codecs.lookup(encoding).name[: len("utf-16")])
    with io.TextIOWrapper(file, found if same_family else encoding, newline="") as text:
        try:
            yield text
        except UnicodeError as error:
            raise _undecodable(path, text.encoding, str(error)) from None


def numbered_lines(path: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    r"""Yield (line number from 1, line with its end). Lines end with \n, \r\n or \r.

    Raises ContentError as `open_text`, and for a line of over LONGEST_LINE characters.
    """
    with open_text(path, encoding) as file:
        for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), ""), 1):
            if len(line) == LONGEST_LINE:
                problem = f"Line {number} of {path} has more than {LONGEST_LINE:,} characters."
                raise ContentError(problem, "Write a row per line, and cut texts that are longer than a book.")
            yield number, line


def _undecodable(path: Path, encoding: str, reason: str) -> ContentError:
    """Return the error with the place of the first byte that does not decode."""
    remedy = (
        "Name the file's encoding with --data.encoding (score and drift: --encoding), such as windows-1252 (Western "
        "Europe, older Excel), cp1251, gb18030 or shift_jis, or correct that line."
    )
    if not encoding.startswith(("utf-16", "utf-32")):
        number, decoder, reason = 1, codecs.getincrementaldecoder(encoding)(), "it ends inside a character"
        with open_unpacked(path) as file:
            try:
                while line := file.readline(LONGEST_LINE):
                    for part in line.splitlines(keepends=True):  # Also at \r, as text is.
                        decoder.decode(part)
                        number += part.endswith((b"\r", b"\n"))
            except UnicodeDecodeError as error:
                reason = f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} of line {number}"
    return ContentError(f"{path} is not {encoding.upper().removesuffix('-SIG')}: {reason}.", remedy)


class Content(NamedTuple):
    """What one pass over the bytes shows."""

    quotes: bool
    escaped_quotes: bool  # Whether there is \", perhaps as UTF-16 or UTF-32.
    lines: int


def scan(path: Path) -> Content:
    """Return what one pass over the content shows; a second call for the same file is free.

    Raises ContentError for a decompression bomb, a damaged packed file, and content that is nearly all blank lines.
    """
    status = path.stat()
    return _scan(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=64)
def _scan(path: Path, version: tuple[int, int, int]) -> Content:
    quotes, escaped, size, ends, last = False, False, 0, [0, 0], b"\n"
    with open_unpacked(path) as file:
        while block := file.read(BLOCK):
            quotes = quotes or b'"' in block
            escaped = escaped or ESCAPED.search(last + block) is not None
            ends = [ends[0] + block.count(b"\n"), ends[1] + (0 if ends[0] else block.count(b"\r"))]
            size, last = size + len(block), block[-4:]
            if max(ends) > 20_000_000 and size < 4 * max(ends):  # More would take minutes.
                raise ContentError(f"{path} has {max(ends):,} lines, nearly all of them blank.", "Check the export.")
    return Content(quotes, escaped, max(ends) + (last[-1:] not in b"\r\n"))
