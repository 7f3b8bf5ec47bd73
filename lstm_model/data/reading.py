"""Labelled and unlabelled files as rows of strings: CSV, TSV, JSON Lines (each also gzipped) and Parquet.

Files are read in chunks, so memory does not grow with the file. Nothing is guessed: `NA` is text, `007` keeps its
zeros, and an error names the line that cannot be read.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.config.data import NO_ID, Quoting
from lstm_model.data.delimited import Lines, choose_quoting, read_header, read_rows
from lstm_model.data.json_lines import json_rows, json_values
from lstm_model.data.lines import blocks, require_file
from lstm_model.data.parquet import open_parquet, parquet_values
from lstm_model.data.texts import is_text, join_texts, text_sources
from lstm_model.digests import digest_file
from lstm_model.errors import ContentError, UsageError

FORMATS = (".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".parquet")
CHUNK_ROWS = 10_000


def file_format(path: Path) -> str:
    """Return the ending of the path that decides how it is read.

    Raises UsageError if the path is missing, is a folder or has another ending.
    """
    require_file(path)
    for ending in FORMATS:
        if path.name.lower().endswith(ending):
            return ending
    raise UsageError(
        f"The name of {path} ends in none of {', '.join(FORMATS)}.",
        "Convert the file, or rename it if it has one of these formats.",
    )


class Reading:
    """Facts about one pass over a file; `read_chunks` fills it."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.lines: Lines | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes read so far; that of the file once all chunks are read."""
        return self.digest.hexdigest()

    @property
    def account(self) -> str | None:
        """How lines became rows, for the log; None where every line is a row."""
        return str(self.lines) if self.lines else None


@contextmanager
def unchanged_file(path: Path, sha256: str) -> Iterator[Reading]:
    """Give the block a Reading for `read_chunks`, and check that the file still had this SHA-256.

    Raises ContentError if the file has changed: at the end of the block, or when reading failed.
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
        f"{path} changed while it was read.", "Run the same command again when nothing writes to it, or name a copy."
    )


def read_columns(path: Path, *, quoting: Quoting = "auto") -> list[str]:
    """Return the file's column names; for JSON Lines, the keys of its first 100 rows in order of appearance."""
    ending = file_format(path)
    if ending.startswith(".jsonl"):
        return list(dict.fromkeys(key for _, row in islice(json_rows(path), 100) for key in row))
    is_parquet = ending == ".parquet"
    names = list(open_parquet(path).schema_arrow.names) if is_parquet else read_header(path, ending, quoting)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ContentError(f"{path} has the column {', '.join(map(repr, repeated))} more than once.", "Rename columns.")
    return names


def text_columns(
    path: Path, names: Sequence[str], id_column: str | None, *, quoting: Quoting = "auto"
) -> dict[str, str]:
    """Return the columns to read, for `read_chunks`. Raises ContentError if the file lacks one."""
    columns = read_columns(path, quoting=quoting)
    wanted = text_sources(names)
    if id_column != NO_ID and (id_column or "id" in columns):
        wanted["id"] = id_column or "id"
    if missing := sorted(set(wanted.values()) - set(columns)):
        raise ContentError(
            f"{path} has no column {', '.join(map(repr, missing))} (found: {', '.join(map(repr, columns))}).",
            f"Name the right ones with --text-column{'s' if len(names) > 1 else ''} and --id-column.",
        )
    return wanted


def estimate_rows(path: Path) -> int:
    """Return the number of rows: exact for Parquet, else from the line breaks, which quoted ones raise.

    Reads the file once, in blocks.
    """
    ending = file_format(path)
    if ending == ".parquet":
        return int(open_parquet(path).metadata.num_rows)
    lines, last = 0, b"\n"
    for block in blocks(path):
        lines, last = lines + block.count(b"\n"), block[-1:]
    return max(0, lines + (last != b"\n") - (not ending.startswith(".jsonl")))


def read_chunks(
    path: Path,
    columns: Mapping[str, str],
    *,
    quoting: Quoting = "auto",
    chunk_rows: int = CHUNK_ROWS,
    reading: Reading | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield the rows in order, `chunk_rows` at a time, as strings.

    columns: name in the result -> name in the file. A column that the file lacks is absent from the result. Columns of
    `text_sources` become one, `text`. Column `problem` is added: None, or why the row's text is no text. Ids and labels
    that are numbers become their digits.
    quoting: whether quotes enclose fields of CSV and TSV. reading: gets the digest and how lines became rows.

    Raises UsageError for a file that cannot be opened, ContentError for one that cannot be read.
    """
    ending = file_format(path)
    names = set(read_columns(path, quoting=quoting))
    present = {name: source for name, source in columns.items() if source in names}
    reading = reading or Reading()
    if ending == ".parquet":
        rows: Iterator[tuple[Any, ...]] = parquet_values(path, present, chunk_rows)
    elif ending.startswith(".jsonl"):
        rows = json_values(path, present, reading.digest)
    else:
        rows = _delimited_values(path, ending, present, quoting, reading)
    while chunk := list(islice(rows, chunk_rows)):
        yield _frame(chunk, list(present))
    if ending == ".parquet":
        for block in blocks(path):  # Arrow does not read in order, so the file is hashed after its last row.
            reading.digest.update(block)


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
    if len(places) > 1:
        pick = itemgetter(*places)
        return (pick(row) for _, row, _ in rows)
    return (tuple(row[place] for place in places) for _, row, _ in rows)


def _frame(rows: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    """Return rows as a frame of object columns with str or None."""
    frame = pd.DataFrame(rows if names else [], columns=names, dtype=object)
    if parts := [name for name in names if is_text(name)]:
        joined = [join_texts(row) for row in frame[parts].itertuples(index=False, name=None)]
        frame["text"] = pd.Series([text for text, _ in joined], dtype=object)
        frame["problem"] = pd.Series([problem for _, problem in joined], dtype=object)
    return frame.drop(columns=parts[1:])
