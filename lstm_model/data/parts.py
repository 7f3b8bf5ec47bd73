"""The files that a path means: one file, or those of a folder or a pattern."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

from lstm_model.data.formats.packed import cannot_read, no_file
from lstm_model.digests import digest_file, digest_json
from lstm_model.errors import UsageError


def find_parts(path: Path) -> list[Path]:
    """Return the files in order of their names. Raises UsageError for a path that cannot be looked up.

    Of a folder: the files directly in it, without hidden ones, those that start with _ as Spark's, and cases files.
    Empty files of a folder or pattern are left out: Spark writes them.
    """
    try:
        if path.is_file():
            return [path]
        if path.is_dir():
            found = [one for one in path.iterdir() if one.name[0] not in "._" and ".cases." not in one.name]
        else:
            found = [Path(one) for one in glob(str(path))]  # noqa: PTH207  Path.glob fails for some patterns
        return sorted(one for one in found if one.is_file() and one.stat().st_size)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None


def require_parts(path: Path) -> list[Path]:
    """Return the files. Raises UsageError if there are none."""
    if parts := find_parts(path):
        return parts
    if path.is_dir():
        remedy = f"Name the folder with the files, or a pattern such as '{path}/*/*.parquet'."
        raise UsageError(f"{path} is a folder without files of rows.", remedy)
    raise no_file(path)


def digest_input(path: Path) -> str:
    """Return the SHA-256 of a file, or a digest over those of several in order; their names do not count."""
    parts = require_parts(path)
    return digest_file(parts[0]) if len(parts) == 1 else digest_json([digest_file(part) for part in parts])


def refuse_output_in_input(path: Path, output: Path) -> None:
    """Raise UsageError where the output is a file of the input, through any link, or would be one."""
    inside = output.resolve().parent == path.resolve() or output.resolve().match(str(path.resolve()))
    if inside or (output.exists() and any(output.samefile(part) for part in find_parts(path))):
        raise UsageError(f"The output {output} is part of the input {path}.", "Choose another output.")


@contextmanager
def input_or_stdin(path: Path) -> Iterator[Path]:
    """Give the path; for `-`, that of a temporary copy of stdin."""
    if path != Path("-"):
        yield path
        return
    with TemporaryDirectory(prefix="lstm-text-") as folder:
        copy = Path(folder, "stdin")
        with copy.open("wb") as file:
            copyfileobj(sys.stdin.buffer, file)
        yield copy
