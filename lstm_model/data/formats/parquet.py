"""Parquet as rows of strings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lstm_model.data.formats.lines import LONGEST_LINE
from lstm_model.data.formats.packed import most_bytes, open_seekable, too_large
from lstm_model.data.text_columns import is_text
from lstm_model.data.texts import scalar_string
from lstm_model.errors import ContentError

SLICE_BYTES = 1 << 26
DENSE = 100  # Times that a column unpacks to: few values, some of them perhaps long, that may repeat.


@contextmanager
def _file_problems(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        remedy = "It is cut off, damaged or of another format. Copy or export it again."
        raise ContentError(f"{path} is not a complete Parquet file: {reason}.", remedy) from None


def open_parquet(path: Path, **options: Any) -> pq.ParquetFile:
    """Return the open file. Raises UsageError without permission to read, ContentError for a damaged file."""
    with _file_problems(path):
        return pq.ParquetFile(open_seekable(path), **options)


def parquet_values(path: Path, columns: Mapping[str, str], batch_rows: int) -> Iterator[tuple[str | None, ...]]:
    """Yield the values of the columns (name in the result -> name in the file), `batch_rows` rows in memory.

    Raises ContentError for a text column without strings, for other values that are no scalars, and for columns that
    are too large for the file.
    """
    sources = list(dict.fromkeys(columns.values()))  # Two names may have one source.
    file = open_parquet(path)
    for name, source in columns.items():
        if is_text(name) and not _is_string(kind := file.schema_arrow.field(source).type):
            problem = f"Column {source!r} of {path} has type {kind}, not strings."
            raise ContentError(problem, "Name another column, or write this one as strings.")
    few, longest = _few_values(path, file, sources)
    file = open_parquet(path, read_dictionary=few)
    left, row, batch_rows = most_bytes(path), 0, max(1, min(batch_rows, 4 * SLICE_BYTES // max(1, longest)))
    with _file_problems(path):
        for batch in file.iter_batches(batch_size=batch_rows, columns=sources, use_threads=False):
            size = max(1, sum(map(_size, batch.columns)))
            left -= size
            if left < 0:
                raise too_large(path)
            step = max(1, len(batch) * SLICE_BYTES // size)
            for part in (batch.slice(first, step) for first in range(0, len(batch), step)):
                found = [_strings(path, source, part.column(source), row) for source in columns.values()]
                yield from zip(*found, strict=True)
                row += len(part)


def _few_values(path: Path, file: pq.ParquetFile, sources: list[str]) -> tuple[list[str], int]:
    """Return the columns that may store few values and repeat them by number, and the bytes of a value that may repeat.

    A few bytes may stand for gigabytes. Writers give up numbers where the values have over 1 MB, but a single value can
    have more. Raises ContentError for a damaged file, and for one that is too large.
    """
    metadata, most, full = file.metadata, most_bytes(path), []
    with _file_problems(path):
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > most:
            raise too_large(path)
        for number, group in enumerate(groups):
            # A value is read first: on damaged metadata, reading raises, but asking for a column's aborts the process.
            if next(file.iter_batches(1, [number], sources, use_threads=False), None) is not None:
                full.append(group)
    places = {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}
    found, longest = [], 0
    for source in [source for source in sources if source in places]:
        groups = [group.column(places[source]) for group in full]
        if sum(group.total_uncompressed_size for group in groups) > most_bytes(path):
            raise too_large(path)
        if all(
            group.has_dictionary_page and group.total_uncompressed_size < (2 << 20) + 4 * group.num_values
            for group in groups
        ):
            found.append(source)
        dense = (group.total_uncompressed_size for group in groups if _is_dense(group))
        longest = max(longest, *dense, 0)
    return found, longest


def _is_dense(group: pq.ColumnChunkMetaData) -> bool:
    return bool(group.has_dictionary_page and group.total_uncompressed_size > DENSE * group.total_compressed_size)


def _size(values: pa.Array) -> int:
    """Return the bytes of the values, each as often as it occurs."""
    if pa.types.is_dictionary(values.type) and _is_string(values.type):
        return pc.sum(pc.take(pc.binary_length(values.dictionary), values.indices)).as_py() or 0  # type: ignore[no-any-return]
    return values.nbytes  # type: ignore[no-any-return]


def _is_string(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(check(kind) for check in checks)


def _strings(path: Path, source: str, values: pa.Array, first_row: int) -> list[str | None]:
    if _is_string(values.type):
        strings = values.cast(pa.string())  # A dictionary column: its values.
        row = pc.index(pc.greater(pc.utf8_length(strings), LONGEST_LINE), True).as_py() + first_row + 1
        if row > first_row:
            problem = f"Row {row} of {path} has in column {source!r} more than {LONGEST_LINE:,} characters."
            raise ContentError(problem, "Cut the value, or leave the row out.")
        return strings.to_pylist()  # type: ignore[no-any-return]
    strings = []
    for number, value in enumerate(values.to_pylist(), first_row + 1):
        try:
            strings.append(scalar_string(value))
        except ValueError as error:
            remedy = "Write ids and labels as strings or numbers, one label per row."
            raise ContentError(f"Row {number} of {path} has in column {source!r} {error}.", remedy) from None
    return strings
