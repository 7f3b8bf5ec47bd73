"""CSV and TSV as rows of fields; every line is accounted for, so that no row swallows another.

A quote that somebody typed looks like one that encloses a field: read as quoting, it joins lines into one field until
the next quote. So a file is looked through before it is read. A TSV counts as quoted only if the whole file is; in
either format, a quoted field that holds a line which would be a row by itself is refused.
"""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_model.config.data import Quoting
from lstm_model.data.lines import blocks, numbered_lines
from lstm_model.errors import ContentError

Place = tuple[int, int]  # The line where a quoted field begins, and one that it runs over.
Row = tuple[int, list[str], list[str]]  # The number of its first line, its fields, the lines it was read from.


@dataclass
class Lines:
    """How lines became rows. Filled when the last row was read."""

    total: int = 0
    blank: int = 0
    joined: int = 0
    """Lines that continue the row of the line before, inside a quoted field."""
    first_joined: int | None = None
    """The line in which the first row of several lines begins."""
    why: str | None = None
    """Why quotes were read as they were, where the file has some."""

    def __str__(self) -> str:
        parts = [f"{self.total:,} lines", "1 header", f"{self.total - 1 - self.blank - self.joined:,} rows"]
        parts += [f"{self.blank:,} blank"] if self.blank else []
        parts += [f"{self.joined:,} inside quoted fields (from line {self.first_joined})"] if self.joined else []
        return f"{parts[0]}: {', '.join(parts[1:])}" + (f"; {self.why}" if self.why else "")


def separator(ending: str) -> str:
    """Return what separates fields in a file of this ending."""
    return "\t" if ending.startswith(".tsv") else ","


def read_rows(
    path: Path, ending: str, *, quoted: bool, digest: Any = None, lines: Lines | None = None
) -> Iterator[Row]:
    """Yield the rows, the header first; every row has the header's width. Blank lines are left out.

    The list of lines is valid until the next row is asked for. Raises ContentError naming the line.
    """
    csv.field_size_limit(sys.maxsize)  # The default refuses cells over 128 KiB with a message that helps nobody.
    raw: list[str] = []
    total = blank = joined = 0
    first_joined = None

    def texts() -> Iterator[str]:
        nonlocal total
        for total, line in numbered_lines(path, digest):  # noqa: B007  the count is read below
            raw.append(line)
            yield line

    reader = csv.reader(
        texts(), delimiter=separator(ending), strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    width, start = 0, 1
    try:
        for row in reader:
            if not row:
                blank += len(raw)
            else:
                width = width or len(row)
                if len(row) != width:
                    raise _other_width(path, start, width, len(row), quoted=quoted)
                if len(raw) > 1:
                    joined += len(raw) - 1
                    first_joined = first_joined or start
                yield start, row, raw
            start = total + 1
            raw.clear()
    except csv.Error as error:
        raise ContentError(
            expected=f"well-formed {ending[1:4].upper()} in line {start} of {path}",
            found=str(error),
            remedy='Write a double quote inside a quoted field twice (""), and close every quoted field. Where quotes '
            "are ordinary characters pass --data.quoting none (score and drift: --quoting none).",
        ) from None
    if not width:
        raise ContentError(expected=f"a header line in {path}", found="an empty file", remedy="Check the export.")
    if lines is not None:
        lines.total, lines.blank, lines.joined, lines.first_joined = total, blank, joined, first_joined


def _other_width(path: Path, start: int, width: int, found: int, *, quoted: bool) -> ContentError:
    remedy = (
        "Put a field that holds the separator or a line break in double quotes."
        if quoted
        else "Quotes are ordinary characters here. Where they enclose fields that hold the separator or a line break "
        "pass --data.quoting quoted (score and drift: --quoting quoted)."
    )
    return ContentError(expected=f"{width} fields in line {start} of {path}", found=str(found), remedy=remedy)


def read_header(path: Path, ending: str, quoting: Quoting) -> list[str]:
    """Return the column names, which may stand in quotes whatever the rows do."""
    header = next(read_rows(path, ending, quoted=False))[1]
    if quoting != "none" and any('"' in name for name in header):
        header = next(read_rows(path, ending, quoted=True))[1]
    return header


def choose_quoting(
    path: Path, ending: str, quoting: Quoting, *, keys: Sequence[str], id_column: str | None
) -> tuple[bool, str | None]:
    """Return whether quotes enclose fields in this file, and why, for the log; None where it holds none.

    keys: the columns that tell a row from a piece of text: the label's, or all but the text's; id_column: which of them
    holds ids. Raises ContentError where a quoted field holds a line that would be a row by itself, and where a TSV can
    be read neither way.
    """
    if quoting != "auto":
        return quoting == "quoted", f"quoting is {quoting}, as was asked for"
    if not any(b'"' in block for block in blocks(path)):
        return True, None
    tabs = separator(ending) == "\t"
    suspects: dict[tuple[str, str], Place] = {}
    problem = None
    try:
        suspects = _lines_inside_fields(path, ending, keys)
        problem = _swallowed_row(path, ending, suspects, id_column)
    except ContentError as error:
        problem = error
    if tabs and (problem or suspects):
        width, misfit = _misfit(path)
        if misfit is None and width > 1:
            why = problem.found if problem else "lines inside a field have the header's width, as all lines do"
            return False, f"quotes are ordinary characters, since as quoting they do not fit: {why}"
        if misfit and problem:
            found = f"{problem.found}; without quoting, line {misfit[0]} has {misfit[1]} fields instead of {width}"
            problem = ContentError(expected=problem.expected, found=found, remedy=problem.remedy)
    if problem:
        raise problem
    return True, "quotes enclose fields"


def _misfit(path: Path) -> tuple[int, tuple[int, int] | None]:
    """Return the width of a TSV's header read without quoting, and the first line of another: number and width."""
    width = 0
    for number, line in numbered_lines(path):
        if stripped := line.rstrip("\r\n"):
            found = stripped.count("\t") + 1
            width = width or found
            if found != width:
                return width, (number, found)
    return width, None


def _lines_inside_fields(path: Path, ending: str, keys: Sequence[str]) -> dict[tuple[str, str], Place]:
    """Return lines inside quoted fields with the header's width, by each key column and what they have there.

    A TSV of one column has no keys: any further line of a field could be a row. Raises ContentError where the file is
    not well-formed with quoting.
    """
    rows = read_rows(path, ending, quoted=True)
    header = next(rows)[1]
    alone = len(header) == 1 and separator(ending) == "\t"
    columns = {name: header.index(name) for name in (header if alone else keys) if name in header}
    suspects: dict[tuple[str, str], Place] = {}
    for start, _, raw in rows:
        if len(raw) > 1:
            for number, cells in _lines_inside(raw, separator(ending), len(header)):
                for name, column in columns.items():
                    cell = cells[column]
                    if cell is not None and cell.strip():
                        suspects.setdefault((name, cell), (start, start + number))
    return suspects


def _lines_inside(raw: list[str], between: str, width: int) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the lines of a row that have the header's width: number from 0, and each cell that lies inside the field.

    A cell that reaches out of the quoted field is None. In a file of one column, every further line is a row's.
    """
    inside = False
    for number, line in enumerate(raw):
        cells: list[str | None] = []
        for cell in line.rstrip("\r\n").split(between):
            began = inside
            if inside or cell.startswith('"'):
                inside ^= cell.count('"') % 2 == 1
            cells.append(cell if (began and inside) or (width == 1 and number) else None)
        if len(cells) == width:
            yield number, cells


def _swallowed_row(
    path: Path, ending: str, suspects: dict[tuple[str, str], Place], id_column: str | None
) -> ContentError | None:
    """Return the error for the first suspect that is a row: it has what other rows have in the key column.

    An id is another row's if it looks like the ids there, holds a digit, and is none of them. In a TSV of one column
    every suspect could be a row.
    """
    if not suspects:
        return None
    rows = read_rows(path, ending, quoted=True)
    header = next(rows)[1]
    if len(header) > 1:
        names = {name for name, _ in suspects}
        columns = [(name, header.index(name)) for name in names]
        seen: dict[str, set[str]] = {name: set() for name in names}
        for _, row, _ in rows:
            for name, column in columns:
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
    return ContentError(
        expected=f"rows that keep to their own lines in {path}",
        found=f"a quoted field that begins in line {start} and swallows {swallowed}, which has the header's width"
        + (f" and the {name} {cell[:80]!r}" if len(header) > 1 else ""),
        remedy=f"Close the quote in line {start}, or write it twice inside a quoted field. Where quotes are ordinary "
        "characters pass --data.quoting none, and where the field really holds that line --data.quoting quoted "
        "(score and drift: --quoting).",
    )


def _is_new_id(cell: str, ids: set[str], shapes: set[str]) -> bool:
    return any(map(str.isdigit, cell)) and cell not in ids and _shape(cell) in shapes


def _shape(identifier: str) -> str:
    """Return an id with each run of digits and of letters as one character: `r17` and `r204` have one shape."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", identifier))
