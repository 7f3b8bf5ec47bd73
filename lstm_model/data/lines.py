"""A text file as numbered lines: opened, unpacked, decoded and hashed on the way."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from lstm_model.errors import ContentError, UsageError

BLOCK = 1 << 20
BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


class _HashedFile(io.FileIO):
    """A file whose bytes go through a hash as a buffered reader reads them."""

    def __init__(self, path: Path, digest: Any) -> None:
        super().__init__(path)
        self.digest = digest

    def readinto(self, buffer: Any) -> int:
        size = super().readinto(buffer)
        self.digest.update(memoryview(buffer)[:size])
        return size


def no_permission(path: Path) -> UsageError:
    """Return the error for a file that you must not read."""
    return UsageError(f"You have no permission to read {path}.", "Change its permissions with chmod.")


def require_file(path: Path) -> None:
    """Raise UsageError if the path is missing or is a folder."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file.", "Check the path.")
    if not path.is_file():
        raise UsageError(f"{path}: no such file.", "Check the path.")


def open_bytes(path: Path, digest: Any = None, *, by_content: bool = False) -> IO[bytes]:
    """Return the file's content, unpacked if its name ends in .gz; with by_content, if it starts as gzip does.

    digest: a hash object that gets each byte of the file itself, once. Raises UsageError without permission to read.
    """
    try:
        file = io.FileIO(path) if digest is None else _HashedFile(path, digest)
    except PermissionError:
        raise no_permission(path) from None
    plain = io.BufferedReader(file, BLOCK)
    packed = plain.peek(2)[:2] == b"\x1f\x8b" if by_content else path.name.lower().endswith(".gz")
    return cast(IO[bytes], gzip.GzipFile(fileobj=plain) if packed else plain)


def numbered_lines(path: Path, digest: Any = None) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its end), decoded as UTF-8 with an optional byte-order mark.

    Raises ContentError for another encoding and for a damaged gzip file.
    """
    number = 0
    with open_bytes(path, digest) as file:
        try:
            for number, line in enumerate(file, start=1):
                if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                    problem = f"{path} must be UTF-8, but it starts with a UTF-16 byte-order mark."
                    raise ContentError(problem, "Convert it: iconv -f UTF-16 -t UTF-8.")
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            byte, position = error.object[error.start], error.start + 1
            raise ContentError(
                f"{path} is not UTF-8: byte 0x{byte:02x} at position {position} of line {number}.",
                "Convert the file to UTF-8 (for example iconv -f WINDOWS-1252 -t UTF-8), or correct that line.",
            ) from None
        except BROKEN_GZIP as error:
            problem = f"{path} is not a complete gzip file: {error} after line {number}."
            raise ContentError(problem, "It is cut off or damaged. Copy or download it again.") from None


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the unpacked content in blocks; a damaged gzip file ends early, which reading its lines reports."""
    with open_bytes(path) as file:
        try:
            while block := file.read(BLOCK):
                yield block
        except BROKEN_GZIP:
            return
