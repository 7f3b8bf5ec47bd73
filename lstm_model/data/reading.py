"""Labelled and unlabelled files as rows of strings: CSV, TSV, JSON Lines (each also gzipped) and Parquet.

Files are read in chunks, so memory does not grow with the file. Nothing is guessed: `NA` is text, `007` keeps its
zeros, and a line that cannot be read is named by its number.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lstm_model.config.data import Quoting
from lstm_model.data.delimited import Lines, choose_quoting, read_header, read_rows
from lstm_model.data.lines import blocks, numbered_lines
from lstm_model.data.texts import text_problem
from lstm_model.digests import digest_file
from lstm_model.errors import ContentError, UsageError

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


class Reading:
    """What one pass over a file found; `read_chunks` fills it."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.lines: Lines | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that were read; that of the file once all chunks are."""
        return self.digest.hexdigest()

    @property
    def account(self) -> str | None:
        """How lines became rows, for the log; None where a line always is a row."""
        return str(self.lines) if self.lines else None


@contextmanager
def unchanged_file(path: Path, sha256: str) -> Iterator[Reading]:
    """Have the block read the file as it was when it had this SHA-256; it passes the Reading to `read_chunks`.

    Raises ContentError where the file has changed since: at the end, or where it could not be read.
    """
    reading = Reading()
    try:
        yield reading
    except ContentError:
        if digest_file(path) == sha256:
            raise
    else:
        if reading.sha256 == sha256:
            return
    raise ContentError(
        expected=f"{path} to stay as it is while it is read",
        found="a file that changed meanwhile",
        remedy="Run the same command again when nothing writes to it, or name a copy.",
    )


def read_columns(path: Path, *, quoting: Quoting = "auto") -> list[str]:
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
    header = read_header(path, ending, quoting)
    _check_header(path, header)
    return header


def read_chunks(
    path: Path,
    columns: Mapping[str, str],
    *,
    quoting: Quoting = "auto",
    chunk_rows: int = CHUNK_ROWS,
    reading: Reading | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield the rows in order, `chunk_rows` at a time, as strings.

    columns: name in the result -> name in the file. A column that the file lacks is absent from the result. Column
    `problem` is added: None, or why the row's text is no text. Ids and labels that are numbers become their digits.
    quoting: whether quotes enclose fields of CSV and TSV. reading: filled on the way.

    Raises UsageError for a file that cannot be opened, ContentError for one that cannot be read.
    """
    ending = file_format(path)
    present = _present(columns, read_columns(path, quoting=quoting))
    reading = reading or Reading()
    if ending == ".parquet":
        yield from _parquet_chunks(path, present, chunk_rows)
        for block in blocks(path):  # Arrow reads where it likes: hashed as it is when the last row was read.
            reading.digest.update(block)
        return
    if ending.startswith(".jsonl"):
        rows = _json_values(path, present, reading)
    else:
        rows = _delimited_values(path, ending, present, quoting, reading)
    chunk: list[tuple[Any, ...]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == chunk_rows:
            yield _frame(chunk, list(present))
            chunk = []
    if chunk:
        yield _frame(chunk, list(present))


def text_columns(path: Path, text_column: str, id_column: str | None, *, quoting: Quoting = "auto") -> dict[str, str]:
    """Return the columns to read; raises ContentError where the file lacks one."""
    columns = read_columns(path, quoting=quoting)
    ids = id_column or ("id" if "id" in columns else None)
    missing = {text_column, *([ids] if ids else [])} - set(columns)
    if missing:
        raise ContentError(
            expected=f"the columns {', '.join(map(repr, sorted(missing)))} in {path}",
            found=", ".join(map(repr, columns)),
            remedy="Name the right ones with --text-column and --id-column.",
        )
    return {"text": text_column, **({"id": ids} if ids else {})}


def _present(columns: Mapping[str, str], names: list[str]) -> dict[str, str]:
    return {name: source for name, source in columns.items() if source in set(names)}


def estimate_rows(path: Path) -> int:
    """Return how many rows the file has: exact for Parquet, otherwise its lines, which quoted line breaks raise.

    Reads the file once, in blocks.
    """
    ending = file_format(path)
    if ending == ".parquet":
        return int(_open_parquet(path).metadata.num_rows)
    lines, last = 0, b"\n"
    for block in blocks(path):
        lines, last = lines + block.count(b"\n"), block[-1:]
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


def _check_header(path: Path, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ContentError(
            expected=f"column names that differ in {path}",
            found=f"{', '.join(map(repr, twice))} more than once",
            remedy="Rename the columns.",
        )


def _delimited_values(
    path: Path, ending: str, present: Mapping[str, str], quoting: Quoting, reading: Reading
) -> Iterator[tuple[Any, ...]]:
    header = read_header(path, ending, quoting)
    keys = [present["label"]] if "label" in present else [name for name in header if name != present.get("text")]
    id_column = present.get("id", present.get("example_id"))
    quoted, why = choose_quoting(path, ending, quoting, keys=keys, id_column=id_column)
    reading.lines = Lines(why=why)
    rows = read_rows(path, ending, quoted=quoted, digest=reading.digest, lines=reading.lines)
    next(rows)
    places = [header.index(source) for source in present.values()]
    if len(places) == 1:
        return ((row[places[0]],) for _, row, _ in rows)
    pick = itemgetter(*places) if places else lambda row: ()
    return (pick(row) for _, row, _ in rows)


def _constant(name: str) -> float | None:
    """Return what JSON does not know but Python's json writes: NaN is how pandas and NumPy write a missing value."""
    return None if name == "NaN" else float(name)


_JSON = json.JSONDecoder(parse_constant=_constant)


def _json_rows(path: Path, reading: Reading | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    empty = True
    for number, line in numbered_lines(path, reading.digest if reading else None):
        if not line.strip():
            continue
        empty = False
        try:
            row = _JSON.decode(line)
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


def _json_values(path: Path, present: Mapping[str, str], reading: Reading) -> Iterator[tuple[Any, ...]]:
    for number, row in _json_rows(path, reading):
        yield tuple(
            row.get(source) if name == "text" else _json_name(row.get(source), source, number, path)
            for name, source in present.items()
        )


def _json_name(value: Any, source: str, number: int, path: Path) -> str | None:
    """Return an id, label or split value as a string: numbers by their digits, null and NaN as None."""
    if value is None or (isinstance(value, str) and text_problem(value) is None):
        return value
    if isinstance(value, bool | int | float) and math.isfinite(value):
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
