"""A text file as numbered lines: opened, unpacked, decoded, and hashed on the way."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from lstm_model.errors import ContentError, UsageError

BLOCK = 1 << 20
BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


class _Hashed(io.RawIOBase):
    """An open file whose bytes go through a hash as they are read."""

    def __init__(self, file: io.FileIO, digest: Any) -> None:
        self.file, self.digest = file, digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self.file.readinto(buffer)
        self.digest.update(memoryview(buffer)[:size])
        return size

    def close(self) -> None:
        self.file.close()
        super().close()


def open_bytes(path: Path, digest: Any = None) -> IO[bytes]:
    """Return the file's content, unpacked if its name ends in .gz.

    digest: a hash object that sees each byte of the file itself, once. Raises UsageError without permission to read.
    """
    try:
        file = path.open("rb", buffering=0)
    except PermissionError:
        raise UsageError(expected=f"a readable file at {path}", found="no permission", remedy="chmod it.") from None
    plain = io.BufferedReader(file if digest is None else _Hashed(file, digest), BLOCK)
    return cast(IO[bytes], gzip.GzipFile(fileobj=plain) if path.name.lower().endswith(".gz") else plain)


def numbered_lines(path: Path, digest: Any = None) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its end), decoded as UTF-8 with an optional byte-order mark.

    Raises ContentError for another encoding and for a damaged gzip file.
    """
    number = 0
    with open_bytes(path, digest) as file:
        try:
            for number, line in enumerate(file, start=1):
                if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                    raise ContentError(
                        expected=f"UTF-8 text in {path}",
                        found="a UTF-16 byte-order mark",
                        remedy="Convert it: iconv -f UTF-16 -t UTF-8.",
                    )
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ContentError(
                expected=f"UTF-8 text in {path}",
                found=f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} of line {number}",
                remedy="Convert the file to UTF-8 (for example iconv -f WINDOWS-1252 -t UTF-8), or correct that line.",
            ) from None
        except BROKEN_GZIP as error:
            raise ContentError(
                expected=f"a complete gzip file at {path}",
                found=f"{error} after line {number}",
                remedy="The file is cut off or damaged: copy or download it again.",
            ) from None


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the unpacked content in blocks; a damaged gzip file ends early, which reading its lines reports."""
    with open_bytes(path) as file:
        try:
            while block := file.read(BLOCK):
                yield block
        except BROKEN_GZIP:
            return
