"""Parquet as rows of strings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_model.data.lines import no_permission
from lstm_model.data.texts import is_text
from lstm_model.errors import ContentError


@contextmanager
def _file_problems(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise no_permission(path) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        remedy = "It is cut off, damaged or of another format. Copy or export it again."
        raise ContentError(f"{path} is not a complete Parquet file: {reason}.", remedy) from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """Return the open file. Raises UsageError without permission to read, ContentError for a damaged file."""
    with _file_problems(path):
        return pq.ParquetFile(path)


def parquet_values(path: Path, columns: Mapping[str, str], batch_rows: int) -> Iterator[tuple[str | None, ...]]:
    """Yield the values of the columns (name in the result -> name in the file), `batch_rows` rows in memory.

    Raises ContentError for a column that has neither strings nor, unless it is the text, integers or booleans.
    """
    file = open_parquet(path)
    for name, source in columns.items():
        _check_type(path, name, source, file.schema_arrow.field(source).type)
    sources = list(dict.fromkeys(columns.values()))  # Two names may have one source.
    with _file_problems(path):
        for batch in file.iter_batches(batch_size=batch_rows, columns=sources, use_threads=False):
            # The cast turns a dictionary column into its values, and integers into their digits.
            yield from zip(
                *(batch.column(source).cast(pa.string()).to_pylist() for source in columns.values()), strict=True
            )


def _check_type(path: Path, name: str, source: str, kind: pa.DataType) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    allowed = [pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null]
    if not is_text(name):
        allowed += [pa.types.is_integer, pa.types.is_boolean]
    if not any(is_kind(kind) for is_kind in allowed):
        raise ContentError(
            f"Column {source!r} of {path} has type {kind}, not strings.",
            "Name another column, or write this one as strings.",
        )
