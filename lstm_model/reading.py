"""Labelled and unlabelled files as rows of strings: CSV, TSV, JSON Lines (each also gzipped) and Parquet.

Files are read in chunks, so memory does not grow with the file. Nothing is guessed: `NA` is text, `007` keeps its
zeros, and a line that cannot be read is named by its number.
"""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lstm_model.errors import ContentError, UsageError
from lstm_model.texts import text_problem

FORMATS = (".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".parquet")
CHUNK_ROWS = 10_000


def file_format(path: Path) -> str:
    """Return the ending of the path that decides how it is read.

    Raises UsageError where the file does not exist, is no file, or has another ending.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UsageError(expected=f"a file at {path}", found=found, remedy="Check the path.")
    for ending in sorted(FORMATS, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return ending
    raise UsageError(
        expected=f"a file that ends in one of {', '.join(FORMATS)}",
        found=path.name,
        remedy="Convert the file, or rename it if it has one of these formats.",
    )


def read_columns(path: Path) -> list[str]:
    """Return the file's column names; for JSON Lines, the keys of its first 100 rows in order of appearance."""
    ending = file_format(path)
    if ending == ".parquet":
        names = list(_open_parquet(path).schema_arrow.names)
        _check_header(path, names)
        return names
    if ending.startswith(".jsonl"):
        keys: dict[str, None] = {}
        for count, (_, row) in enumerate(_json_rows(path)):
            keys |= dict.fromkeys(row)
            if count == 99:
                break
        return list(keys)
    return next(_delimited_rows(path, ending))[1]


def read_chunks(path: Path, columns: Mapping[str, str], *, chunk_rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
    """Yield the rows in order, `chunk_rows` at a time, as strings.

    columns: name in the result -> name in the file. A column that the file lacks is absent from the result. Column
    `problem` is added: None, or why the row's text is no text. Ids and labels that are numbers become their digits.

    Raises UsageError for a file that cannot be opened, ContentError for one that cannot be read.
    """
    ending = file_format(path)
    present = {name: source for name, source in columns.items() if source in set(read_columns(path))}
    if ending == ".parquet":
        yield from _parquet_chunks(path, present, chunk_rows)
        return
    rows = _json_values(path, present) if ending.startswith(".jsonl") else _delimited_values(path, ending, present)
    chunk: list[tuple[Any, ...]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == chunk_rows:
            yield _frame(chunk, list(present))
            chunk = []
    if chunk:
        yield _frame(chunk, list(present))


def estimate_rows(path: Path) -> int:
    """Return how many rows the file has: exact for Parquet, otherwise its lines, which quoted line breaks raise.

    Reads the file once, in blocks.
    """
    ending = file_format(path)
    if ending == ".parquet":
        return int(_open_parquet(path).metadata.num_rows)
    lines, last = 0, b"\n"
    with _binary(path) as file:
        try:
            while block := file.read(1 << 20):
                lines, last = lines + block.count(b"\n"), block[-1:]
        except (EOFError, gzip.BadGzipFile, zlib.error):
            pass  # Reading the rows will say so, with the line.
    return max(0, lines + (last != b"\n") - (not ending.startswith(".jsonl")))


def _frame(rows: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    """Return rows as a frame of object columns holding str or None."""
    values = dict(zip(names, zip(*rows, strict=True), strict=True)) if names else {}
    frame = pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in values.items()})
    if "text" not in frame:
        return frame
    problems = [text_problem(value) for value in frame["text"]]
    frame["problem"] = pd.Series(problems, dtype=object)
    if any(problems):
        frame["text"] = frame["text"].where(frame["problem"].isna(), None)
    return frame


def _binary(path: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb"))
    except PermissionError:
        raise UsageError(expected=f"a readable file at {path}", found="no permission", remedy="chmod it.") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its end), decoded as UTF-8 with an optional byte-order mark."""
    number = 0
    with _binary(path) as file:
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
                remedy="Convert the file to UTF-8 (for example iconv -f WINDOWS-1252 -t UTF-8), or mend that line.",
            ) from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ContentError(
                expected=f"a complete gzip file at {path}",
                found=f"{error} after line {number}",
                remedy="The file is cut off or damaged: copy or download it again.",
            ) from None


def _delimited_rows(path: Path, ending: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the row's first line, fields), the header first; every row has the header's width."""
    csv.field_size_limit(sys.maxsize)  # The default refuses cells over 128 KiB with a message that helps nobody.
    last = 0

    def texts() -> Iterator[str]:
        nonlocal last
        for last, line in _lines(path):  # noqa: B007  the count is read below
            yield line

    reader = csv.reader(texts(), delimiter="\t" if ending.startswith(".tsv") else ",", strict=True)
    width, start = 0, 1
    try:
        for row in reader:
            if row and not width:
                width = len(row)
                _check_header(path, row)
            if row and len(row) != width:
                raise ContentError(
                    expected=f"{width} fields in line {start} of {path}",
                    found=str(len(row)),
                    remedy="Put a field that holds the separator or a line break in double quotes.",
                )
            if row:
                yield start, row
            start = last + 1
    except csv.Error as error:
        raise ContentError(
            expected=f"well-formed {ending[1:4].upper()} in line {start} of {path}",
            found=str(error),
            remedy='Write a double quote inside a quoted field twice (""), and close every quoted field.',
        ) from None
    if not width:
        raise ContentError(expected=f"a header line in {path}", found="an empty file", remedy="Check the export.")


def _check_header(path: Path, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ContentError(
            expected=f"column names that differ in {path}",
            found=f"{', '.join(map(repr, twice))} more than once",
            remedy="Rename the columns.",
        )


def _delimited_values(path: Path, ending: str, present: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    rows = _delimited_rows(path, ending)
    _, header = next(rows)
    places = [header.index(source) for source in present.values()]
    if len(places) == 1:
        return ((row[places[0]],) for _, row in rows)
    pick = itemgetter(*places) if places else lambda row: ()
    return (pick(row) for _, row in rows)


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    empty = True
    for number, line in _lines(path):
        if not line.strip():
            continue
        empty = False
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            row = f"{error.msg} at character {error.colno}"
        except RecursionError:
            row = "values nested too deeply"
        except ValueError:  # Python's limit on digits, the one other thing that json.loads refuses.
            row = "an integer of more than 4,300 digits"
        if not isinstance(row, dict):
            raise ContentError(
                expected=f"one JSON object in line {number} of {path}",
                found=row if isinstance(row, str) else f"a {type(row).__name__}",
                remedy="Write one object per line, such as {'text': ..., 'label': ...} with double quotes.",
            )
        yield number, row
    if empty:
        raise ContentError(expected=f"JSON Lines in {path}", found="an empty file", remedy="Check the export.")


def _json_values(path: Path, present: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    for number, row in _json_rows(path):
        yield tuple(
            row.get(source) if name == "text" else _json_name(row.get(source), source, number, path)
            for name, source in present.items()
        )


def _json_name(value: Any, source: str, number: int, path: Path) -> str | None:
    """Return an id, label or split value as a string: numbers by their digits, null as None."""
    if value is None or (isinstance(value, str) and text_problem(value) is None):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ContentError(
        expected=f"a string or a number in {source!r} in line {number} of {path}",
        found=json.dumps(value)[:80],
        remedy="Write ids and labels as strings.",
    )


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except PermissionError:
        raise UsageError(expected=f"a readable file at {path}", found="no permission", remedy="chmod it.") from None
    except (pa.ArrowException, OSError) as error:
        raise _broken_parquet(path, error) from None


def _broken_parquet(path: Path, error: Exception) -> ContentError:
    return ContentError(
        expected=f"a complete Parquet file at {path}",
        found=str(error).splitlines()[0] if str(error) else type(error).__name__,
        remedy="The file is cut off, damaged or of another format: copy or export it again.",
    )


def _parquet_chunks(path: Path, present: Mapping[str, str], chunk_rows: int) -> Iterator[pd.DataFrame]:
    file = _open_parquet(path)
    for name, source in present.items():
        _check_parquet_type(path, name, source, file.schema_arrow.field(source).type)
    try:
        sources = list(dict.fromkeys(present.values()))  # Two names may have one source.
        for batch in file.iter_batches(batch_size=chunk_rows, columns=sources, use_threads=False):
            # A dictionary column is cast to its values; integers to their digits.
            columns = [batch.column(source).cast(pa.string()).to_pylist() for source in present.values()]
            if batch.num_rows:
                yield _frame(list(zip(*columns, strict=True)) if columns else [()] * batch.num_rows, list(present))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken_parquet(path, error) from None


def _check_parquet_type(path: Path, name: str, source: str, kind: pa.DataType) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    scalar = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    if not (textual or pa.types.is_null(kind) or (name != "text" and scalar)):
        raise ContentError(
            expected=f"strings in column {source!r} of {path}",
            found=f"type {kind}",
            remedy="Name another column, or write this one as strings.",
        )
