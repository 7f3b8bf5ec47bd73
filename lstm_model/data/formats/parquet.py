"""Parquet as rows of strings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_model.data.formats.packed import most_bytes, open_seekable, too_large
from lstm_model.data.text_columns import is_text
from lstm_model.data.texts import scalar_string
from lstm_model.errors import ContentError


@contextmanager
def _file_problems(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        remedy = "It is cut off, damaged or of another format. Copy or export it again."
        raise ContentError(f"{path} is not a complete Parquet file: {reason}.", remedy) from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """Return the open file. Raises UsageError without permission to read, ContentError for a damaged file."""
    with _file_problems(path):
        return pq.ParquetFile(open_seekable(path))


def parquet_values(path: Path, columns: Mapping[str, str], batch_rows: int) -> Iterator[tuple[str | None, ...]]:
    """Yield the values of the columns (name in the result -> name in the file), `batch_rows` rows in memory.

    Raises ContentError for a text column without strings, for other values that are no scalars, and for columns that
    are too large for the file.
    """
    file = open_parquet(path)
    for source in [source for name, source in columns.items() if is_text(name)]:
        _check_text(path, source, file.schema_arrow.field(source).type)
    sources = list(dict.fromkeys(columns.values()))  # Two names may have one source.
    left, row = most_bytes(path), 0
    with _file_problems(path):
        for batch in file.iter_batches(batch_size=batch_rows, columns=sources, use_threads=False):
            left -= batch.nbytes
            if left < 0:
                raise too_large(path)
            yield from zip(
                *(_strings(path, source, batch.column(source), row) for source in columns.values()), strict=True
            )
            row += len(batch)


def _is_string(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(check(kind) for check in checks)


def _check_text(path: Path, source: str, kind: pa.DataType) -> None:
    if not _is_string(kind):
        raise ContentError(
            f"Column {source!r} of {path} has type {kind}, not strings.",
            "Name another column, or write this one as strings.",
        )


def _strings(path: Path, source: str, values: pa.Array, first_row: int) -> list[str | None]:
    if _is_string(values.type):
        return values.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]  # A dictionary column: its values.
    strings = []
    for number, value in enumerate(values.to_pylist(), first_row + 1):
        try:
            strings.append(scalar_string(value))
        except ValueError as error:
            remedy = "Write ids and labels as strings or numbers, one label per row."
            raise ContentError(f"Row {number} of {path} has in column {source!r} {error}.", remedy) from None
    return strings
