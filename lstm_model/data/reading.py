"""Labelled and unlabelled files as rows of strings, whatever their format, separator, encoding or packing.

Files are read in chunks, so memory does not grow with the file. Values are not guessed at: `NA` is text, `007` keeps
its zeros, and an error names the line that cannot be read.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lstm_model.config.data import Dialect
from lstm_model.data.formats.delimited import read_rows
from lstm_model.data.formats.dialects import choose_quoting, find_delimiter, read_header
from lstm_model.data.formats.excel import excel_rows
from lstm_model.data.formats.json_rows import json_keys, json_values
from lstm_model.data.formats.kinds import Kind, find_kind
from lstm_model.data.formats.lines import Reading, scan
from lstm_model.data.formats.parquet import open_parquet, parquet_values
from lstm_model.data.parts import digest_input, require_parts
from lstm_model.data.text_columns import is_text, join_texts
from lstm_model.data.texts import listed
from lstm_model.errors import ContentError

CHUNK_ROWS = 10_000
CHUNK_CHARACTERS = 1 << 25


def file_format(path: Path) -> Kind:
    """Return the format of the (first) file. Raises UsageError if there is none, ContentError if it is not read."""
    return find_kind(require_parts(path)[0])


@contextmanager
def unchanged_file(path: Path, sha256: str) -> Iterator[Reading]:
    """Give a Reading for `read_chunks`. Raises ContentError if the input then has another `digest_input`."""
    problem = None
    try:
        yield Reading()
    except ContentError as error:  # Perhaps because the file has changed.
        problem = error
    if digest_input(path) != sha256:
        remedy = "Run the same command again when nothing writes to it, or name a copy."
        raise ContentError(f"{path} changed while it was read.", remedy)
    if problem:
        raise problem


class _Table(NamedTuple):
    """A file whose columns are known. dialect: of delimited text, with its delimiter. note: on that, for the log."""

    path: Path
    kind: Kind
    columns: list[str]
    dialect: Dialect
    note: str | None


def read_columns(path: Path, *, dialect: Dialect = Dialect(), names: Collection[str] = ()) -> list[str]:
    """Return the column names; for JSON, the keys of the first 100 rows, and those of the names that occur later.

    names: columns that the file should have, which help to find the separator and to see that a header is missing.
    Raises ContentError where one of them occurs twice, and where files of one input have different columns.
    """
    return _open_tables(path, dialect, names)[0]


def _open_tables(path: Path, dialect: Dialect, names: Collection[str]) -> tuple[list[str], list[_Table]]:
    """Return the columns and the files of an input, as `read_columns` describes."""
    parts = require_parts(path)
    first = _open_table(parts[0], dialect, names)
    tables, columns = [first], first.columns
    for part in parts[1:]:
        other = _open_table(part, dialect, names)
        same_kind = other.kind == first.kind
        if same_kind and first.kind in ("json", "jsonl"):  # Any key may be missing in any row.
            columns = list(dict.fromkeys([*columns, *other.columns]))
        elif not same_kind or set(other.columns) != set(columns):
            what = f"{listed(columns)} and {listed(other.columns)}" if same_kind else f"{first.kind} and {other.kind}"
            remedy = "Give all files the same format and columns, or pass one of them."
            raise ContentError(f"{first.path} and {part} are not files of one table: {what}.", remedy)
        tables.append(other)
    return columns, tables


def _open_table(path: Path, dialect: Dialect, names: Collection[str]) -> _Table:
    kind, note = find_kind(path, dialect.encoding), None
    if kind == "parquet":
        columns = list(open_parquet(path).schema_arrow.names)
    elif kind == "excel":
        columns = [name or "" for name in next(excel_rows(path))]
    elif kind in ("json", "jsonl"):
        scan(path)
        columns = json_keys(path, dialect.encoding, names, by_lines=kind == "jsonl")
    else:
        scan(path)
        dialect, note = find_delimiter(path, dialect, names, usual="," if kind == "csv" else "\t")
        columns = read_header(path, dialect, names)
    if repeated := [name for name in names if columns.count(name) > 1]:
        raise ContentError(f"{path} has the column {listed(repeated)} more than once.", "Rename one of them.")
    return _Table(path, kind, columns, dialect, note)


def estimate_rows(path: Path) -> int:
    """Return the number of rows: exact for Parquet, 0 for Excel, else from the line breaks, which quoted ones raise."""
    rows = 0
    for part in require_parts(path):
        kind = find_kind(part)
        if kind == "parquet":
            rows += int(open_parquet(part).metadata.num_rows)
        elif kind != "excel":
            rows += max(0, scan(part).lines - (kind in ("csv", "tsv")))
    return rows


def read_chunks(
    path: Path,
    columns: Mapping[str, str],
    *,
    dialect: Dialect = Dialect(),
    chunk_rows: int = CHUNK_ROWS,
    reading: Reading | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield the rows in order, of one file or of several, `chunk_rows` or fewer long ones at a time, as strings.

    columns: name in the result -> name in the file. A column that the file lacks is absent from the result. Columns of
    `text_sources` become one, `text`. Column `problem` is added: None, or why the row's text is no text. Ids and labels
    that are numbers become their digits.
    dialect: what is known about a text file. reading: gets how lines became rows.

    Raises UsageError for a file that cannot be opened, ContentError for one that cannot be read.
    """
    found, tables = _open_tables(path, dialect, columns.values())
    present = {name: source for name, source in columns.items() if source in found}
    reading = reading or Reading()
    rows = (values for table in tables for values in _values(table, present, chunk_rows, reading))
    for chunk in _chunks(rows, chunk_rows):
        yield _frame(chunk, list(present))


def _values(table: _Table, columns: Mapping[str, str], chunk_rows: int, reading: Reading) -> Iterator[tuple[Any, ...]]:
    """Return the values of the columns (name in the result -> name in the file)."""
    path, kind, header, dialect, note = table
    reading.files += 1
    if kind == "parquet":
        return parquet_values(path, columns, chunk_rows)
    if kind in ("json", "jsonl"):
        return json_values(path, dialect.encoding, columns, reading, by_lines=kind == "jsonl")
    if kind == "excel":
        rows: Iterator[Any] = excel_rows(path, reading)
    else:
        texts = {source for name, source in columns.items() if is_text(name)}
        keys = [columns["label"]] if "label" in columns else [name for name in header if name not in texts][:100]
        id_column = columns.get("id", columns.get("example_id"))
        dialect, why = choose_quoting(path, dialect, keys=keys, id_column=id_column)
        reading.note(note)
        reading.note(why)
        rows = (row for _, row, _ in read_rows(path, dialect, reading))
    next(rows)  # The header.
    places = [header.index(source) for source in columns.values()]
    several = len(places) > 1  # With one place, itemgetter returns no tuple.
    return map(itemgetter(*places), rows) if several else (tuple(row[place] for place in places) for row in rows)


def _chunks(rows: Iterable[tuple[Any, ...]], most_rows: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield lists of rows, measured 8 rows at a time: a row has at most LONGEST_LINE characters."""
    rows, size = iter(rows), 0
    chunk: list[tuple[Any, ...]] = []
    while block := list(islice(rows, min(8, most_rows - len(chunk)))):
        chunk += block
        size += sum(map(len, filter(None, chain.from_iterable(block))))
        if len(chunk) == most_rows or size > CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _frame(rows: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    """Return rows as a frame of object columns with str or None."""
    frame = pd.DataFrame(rows if names else [], columns=names, dtype=object)
    if parts := [name for name in names if is_text(name)]:
        joined = [join_texts(row) for row in frame[parts].itertuples(index=False, name=None)]
        frame[["text", "problem"]] = pd.DataFrame(joined, dtype=object)
    return frame.drop(columns=parts[1:])
