"""CSV and TSV as rows of fields; every line is accounted for, so that no row swallows another.

A quote that somebody typed looks like one that encloses a field: read as quoting, it joins lines into one field until
the next quote. So a file is checked before it is read. A TSV counts as quoted only if the whole file is. In both
formats, a quoted field with a line in it that could be a row is an error.
"""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lstm_model.config.data import Quoting
from lstm_model.data.lines import blocks, numbered_lines
from lstm_model.errors import ContentError

Row = tuple[int, list[str], list[str]]  # The number of its first line, its fields, the lines it was read from.
# Lines inside quoted fields: by key column and its cell there, the line where the field starts and the line itself.
Suspects = dict[tuple[str, str], tuple[int, int]]


@dataclass
class Lines:
    """How lines became rows; complete after the last row."""

    total: int = 0
    blank: int = 0
    joined: int = 0
    """Lines that continue the row of the line before, inside a quoted field."""
    first_joined: int | None = None
    """The line in which the first row of several lines starts."""
    why: str | None = None
    """Why quotes were read as they were, if the file has some."""

    def __str__(self) -> str:
        parts = [f"{self.total:,} lines: 1 header", f"{self.total - 1 - self.blank - self.joined:,} rows"]
        parts += [f"{self.blank:,} blank"] if self.blank else []
        parts += [f"{self.joined:,} inside quoted fields (from line {self.first_joined})"] if self.joined else []
        return ", ".join(parts) + (f"; {self.why}" if self.why else "")


def _separator(ending: str) -> str:
    return "\t" if ending.startswith(".tsv") else ","


def read_rows(
    path: Path, ending: str, *, quoted: bool, digest: Any = None, lines: Lines | None = None
) -> Iterator[Row]:
    """Yield the rows, the header first; every row has the header's width. Blank lines are left out.

    The list of lines is valid until you ask for the next row. Raises ContentError with the line.
    """
    csv.field_size_limit(sys.maxsize)  # By default, csv rejects cells over 128 KiB.
    lines = lines or Lines()
    raw: list[str] = []

    def texts() -> Iterator[str]:
        for _, line in numbered_lines(path, digest):
            raw.append(line)
            yield line

    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(texts(), delimiter=_separator(ending), strict=True, quoting=quoting)
    width, start = 0, 1
    try:
        for row in reader:
            if row:
                width = width or len(row)
                if len(row) != width:
                    raise _wrong_width(path, start, width, len(row), quoted=quoted)
                if len(raw) > 1:
                    lines.joined += len(raw) - 1
                    lines.first_joined = lines.first_joined or start
                yield start, row, raw
            else:
                lines.blank += len(raw)
            lines.total = reader.line_num
            start = reader.line_num + 1
            raw.clear()
    except csv.Error as error:
        raise ContentError(
            f"Line {start} of {path} is not well-formed {ending[1:4].upper()}: {error}.",
            'Write a double quote inside a quoted field twice (""), and close every quoted field. Where quotes '
            "are ordinary characters pass --data.quoting none (score and drift: --quoting none).",
        ) from None
    if not width:
        raise ContentError(f"{path} is an empty file: it has no header line.", "Check the export.")


def _wrong_width(path: Path, start: int, width: int, fields: int, *, quoted: bool) -> ContentError:
    remedy = "Put a field that contains the separator or a line break in double quotes."
    if not quoted:
        remedy = (
            "Quotes are ordinary characters here. Where they enclose fields with the separator or a line break in "
            "them pass --data.quoting quoted (score and drift: --quoting quoted)."
        )
    return ContentError(f"Line {start} of {path} has {fields} fields instead of {width}.", remedy)


def read_header(path: Path, ending: str, quoting: Quoting) -> list[str]:
    """Return the column names, which may be quoted even where the rows are not."""
    header = next(read_rows(path, ending, quoted=False))[1]
    if quoting != "none" and any('"' in name for name in header):
        header = next(read_rows(path, ending, quoted=True))[1]
    return header


def choose_quoting(
    path: Path, ending: str, quoting: Quoting, *, keys: Sequence[str], id_column: str | None
) -> tuple[bool, str | None]:
    """Return whether quotes enclose fields in this file, and why, for the log; None where it has no quotes.

    keys: the columns that show whether a line is a row: the label's, or all but the text's. id_column: which of them
    has ids. Raises ContentError where a quoted field contains a line that could be a row, and for a TSV that can be
    read neither way.
    """
    if quoting != "auto":
        return quoting == "quoted", f"quoting is set to {quoting}"
    if not any(b'"' in block for block in blocks(path)):
        return True, None
    suspects: Suspects = {}
    try:
        suspects = _lines_inside_fields(path, ending, keys)
        problem = _swallowed_row(path, ending, suspects, id_column)
    except ContentError as error:
        problem = error
    if ending.startswith(".tsv") and (problem or suspects):
        width, misfit = _misfit(path)
        if misfit is None and width > 1:
            why = "lines inside a field have the header's width, as all lines do"
            if problem:
                why = problem.message.replace(f" of {path}", "").removesuffix(".")
            return False, f"quotes are ordinary characters, because they do not fit as quoting: {why}"
        if misfit and problem:
            unquoted = f"Without quoting, line {misfit[0]} has {misfit[1]} fields instead of {width}."
            problem = ContentError(f"{problem.message} {unquoted}", problem.remedy)
    if problem:
        raise problem
    return True, "quotes enclose fields"


def _misfit(path: Path) -> tuple[int, tuple[int, int] | None]:
    """Return the width of a TSV's header read without quoting, and the first line of another: number and width."""
    width = 0
    for number, line in numbered_lines(path):
        if line.rstrip("\r\n"):
            fields = line.count("\t") + 1
            width = width or fields
            if fields != width:
                return width, (number, fields)
    return width, None


def _lines_inside_fields(path: Path, ending: str, keys: Sequence[str]) -> Suspects:
    """Return the lines inside quoted fields that have the header's width.

    A TSV of one column has no keys: any further line of a field could be a row. Raises ContentError where the file is
    not well-formed with quoting.
    """
    rows = read_rows(path, ending, quoted=True)
    header = next(rows)[1]
    alone = len(header) == 1 and ending.startswith(".tsv")
    columns = {name: header.index(name) for name in (header if alone else keys) if name in header}
    suspects: Suspects = {}
    for start, _, raw in rows:
        if len(raw) > 1:
            for number, cells in _lines_inside(raw, _separator(ending), len(header)):
                for name, column in columns.items():
                    cell = cells[column]
                    if cell is not None and cell.strip():
                        suspects.setdefault((name, cell), (start, start + number))
    return suspects


def _lines_inside(raw: list[str], separator: str, width: int) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the lines of a row that have the header's width: number from 0, and its cells.

    A cell that reaches out of the quoted field is None. In a file of one column, every further line is a cell.
    """
    inside = False
    for number, line in enumerate(raw):
        cells: list[str | None] = []
        for cell in line.rstrip("\r\n").split(separator):
            was_inside = inside
            if inside or cell.startswith('"'):
                inside ^= cell.count('"') % 2 == 1
            cells.append(cell if (was_inside and inside) or (width == 1 and number) else None)
        if len(cells) == width:
            yield number, cells


def _swallowed_row(path: Path, ending: str, suspects: Suspects, id_column: str | None) -> ContentError | None:
    """Return the error for the first suspect that is a row: its key cell is one that other rows have, or a new id.

    In a file of one column every suspect could be a row.
    """
    if not suspects:
        return None
    rows = read_rows(path, ending, quoted=True)
    header = next(rows)[1]
    if len(header) > 1:
        columns = {name: header.index(name) for name, _ in suspects}
        seen: dict[str, set[str]] = {name: set() for name in columns}
        for _, row, _ in rows:
            for name, column in columns.items():
                seen[name].add(row[column])
        shapes = {_shape(value) for value in seen.get(id_column or "", ())}
        suspects = {
            (name, cell): place
            for (name, cell), place in suspects.items()
            if (_is_new_id(cell, seen[name], shapes) if name == id_column else cell in seen[name])
        }
    if not suspects:
        return None
    (name, cell), (start, line) = min(suspects.items(), key=lambda item: item[1])
    swallowed = "the rest of it" if line == start else f"line {line}"
    what = f" and the {name} {cell[:80]!r}" if len(header) > 1 else ""
    return ContentError(
        f"A quoted field in line {start} of {path} swallows {swallowed}, which has the header's width{what}.",
        f"Close the quote in line {start}, or write it twice inside a quoted field. Where quotes are ordinary "
        "characters pass --data.quoting none, and where the field really contains that line --data.quoting quoted "
        "(score and drift: --quoting).",
    )


def _is_new_id(cell: str, ids: set[str], shapes: set[str]) -> bool:
    """Return whether a cell looks like the ids, has a digit, and is none of them."""
    return any(map(str.isdigit, cell)) and cell not in ids and _shape(cell) in shapes


def _shape(identifier: str) -> str:
    """Return an id with each run of digits and of letters as one character: `r17` and `r204` have one shape."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", identifier))
