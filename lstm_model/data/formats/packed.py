"""A file's content without its packing: gzip, bzip2, xz, Zstandard, a zip of one file, or one inside another."""

import bz2
import gzip
import io
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

import pyarrow as pa

from lstm_model.data.texts import listed
from lstm_model.errors import ContentError, UsageError

BLOCK = 1 << 20
LARGE, RATIO = 1 << 30, 200
LAYERS = 3
OFFICE = {"[Content_Types].xml", "mimetype"}  # Files in a zip archive that make it a document.
HIDDEN = re.compile(r"^__MACOSX/|(^|/)\.[^./]")
# What the libraries raise for damaged content: OSError, ValueError and RuntimeError without a kind of their own.
BROKEN = (EOFError, OSError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def no_file(path: Path) -> UsageError:
    """Return the error for a path that is no file."""
    if path.is_dir():
        return UsageError(f"{path} is a folder, not a file.", "Check the path.")
    if path.exists():
        return UsageError(f"{path} is no regular file.", "Write its content to a file, or pass - where stdin is read.")
    return UsageError(f"{path}: no such file.", "Check the path.")


def cannot_read(path: Path, error: Exception) -> UsageError:
    """Return the error for a path that the system refuses: without permission, too long, with a NUL, on a bad disk."""
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"Cannot read {str(path)[:200]}: {reason}.", "Check the path and its permissions.")


def too_large(path: Path) -> ContentError:
    """Return the error for a file that unpacks to more than RATIO times its size and more than LARGE bytes."""
    problem = f"{path} unpacks to more than {RATIO} times its size and more than 1 GB."
    return ContentError(problem, "If it is no decompression bomb, unpack it yourself and pass the content.")


def most_bytes(path: Path) -> int:
    """Return how many bytes the content of a packed file may have."""
    return max(LARGE, RATIO * path.stat().st_size)


def _damaged(path: Path, kind: str, error: Exception) -> ContentError:
    problem = f"{path} is not a complete {kind} file: {error or type(error).__name__}."
    return ContentError(problem, "It is cut off or damaged. Copy or download it again.")


class _File(io.FileIO):
    """A file on disk. Errors of the disk are UsageErrors."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise cannot_read(Path(str(self.name)), error) from None


class _Unpacked(io.RawIOBase):
    """The content of a packed file. Errors are ContentErrors."""

    def __init__(self, packed: Any, path: Path, kind: str) -> None:
        self.packed, self.path, self.kind, self.left = packed, path, kind, most_bytes(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view, size = memoryview(buffer), 0
        try:
            while size < len(view) and (read := self.packed.readinto(view[size:])):
                size += read
        except BROKEN as error:
            raise _damaged(self.path, self.kind, error) from None
        self.left -= size
        if self.left < 0:
            raise too_large(self.path)
        return size


def _one_of_zip(file: IO[bytes], path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(file)
    names = [item.filename for item in archive.infolist() if not item.is_dir() and not HIDDEN.search(item.filename)]
    if len(names) != 1:
        problem = f"{path} is a zip archive of {len(names)} files"
        raise ContentError(f"{problem}{f' ({listed(names)})' if names else ''}.", "Unpack it, and pass one of them.")
    if archive.getinfo(names[0]).flag_bits & 1:
        raise ContentError(f"{path} is an encrypted zip archive.", "Unpack it, and pass the file in it.")
    return archive.open(names[0])


# How each starts, and what opens it.
PACKINGS: dict[str, tuple[bytes, Callable[[Any, Path], Any]]] = {
    "gzip": (rb"\x1f\x8b", lambda file, path: gzip.GzipFile(fileobj=file)),
    "bzip2": (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", lambda file, path: bz2.BZ2File(file)),
    "xz": (rb"\xfd7zXZ\x00", lambda file, path: lzma.LZMAFile(file)),  # noqa: SIM115
    "Zstandard": (rb"\x28\xb5\x2f\xfd", lambda file, path: pa.CompressedInputStream(file, "zstd")),
    "zip": (rb"PK(\x03\x04|\x05\x06)", _one_of_zip),
}


def open_unpacked(path: Path) -> io.BufferedReader:
    """Return the content, whatever the file's name says; it has `peek`, and is seekable where the file is not packed.

    Raises UsageError for a missing file and without permission to read, ContentError for a damaged file, for a zip
    archive of several and, while it is read, for content that is too large.
    """
    if not path.is_file():  # A pipe would wait for a writer.
        raise no_file(path)
    try:
        file: Any = io.BufferedReader(_File(path), BLOCK)
    except OSError as error:
        raise cannot_read(path, error) from None
    for _ in range(LAYERS + 1):
        start = file.peek(10)
        kind = next((kind for kind, (pattern, _) in PACKINGS.items() if re.match(pattern, start)), None)
        if kind is None:
            return file  # type: ignore[no-any-return]
        try:
            if kind == "zip":
                file = _seekable(file)
                office = OFFICE & set(zipfile.ZipFile(file).namelist())
                file.seek(0)
                if office:
                    return file  # type: ignore[no-any-return]
            file = io.BufferedReader(_Unpacked(PACKINGS[kind][1](file, path), path, kind), BLOCK)  # type: ignore[arg-type]
        except BROKEN as error:
            raise _damaged(path, kind, error) from None
    raise ContentError(f"{path} is packed more than {LAYERS} times.", "Unpack it, and pass the content.")


def open_seekable(path: Path) -> io.BufferedReader:
    """Return the content as `open_unpacked` does, in a temporary file where it is packed."""
    return _seekable(open_unpacked(path))  # type: ignore[no-any-return]


def _seekable(file: IO[bytes]) -> Any:
    if file.seekable():
        return file
    with file:
        copy = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
        copyfileobj(file, copy, BLOCK)
    copy.seek(0)
    return copy
