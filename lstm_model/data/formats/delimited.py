"""Delimited text as rows of fields; every line is accounted for, so that no row swallows another."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lstm_model.config.data import Dialect
from lstm_model.data.formats.lines import LONGEST_LINE, Reading, numbered_lines
from lstm_model.errors import ContentError

Row = tuple[int, list[str], list[str]]  # The number of its first line, its fields, the lines it was read from.
SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"\\]|\t)"?\s*', re.IGNORECASE)  # Excel's first line.
_BACKSLASH = re.compile(r"\\([\"\\\r\n])?")


def _csv_reader(lines: Iterable[str], dialect: Dialect, *, strict: bool = False) -> Any:
    csv.field_size_limit(LONGEST_LINE)  # By default, csv rejects cells over 128 KiB.
    return csv.reader(
        lines,
        delimiter=str(dialect.delimiter),
        quoting=csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL,
        escapechar="\\" if dialect.quoting == "backslash" else None,
        strict=strict,
    )


def text_lines(path: Path, dialect: Dialect) -> Iterator[str]:
    r"""Yield the lines as csv.reader takes them. Of backslashes, only \", \\ and one before a line end escape."""
    for number, line in numbered_lines(path, dialect.encoding):
        if number == 1 and SEPARATOR_LINE.fullmatch(line):
            yield "\n"
        elif dialect.quoting == "backslash" and "\\" in line:
            yield _BACKSLASH.sub(lambda found: found[0] if found[1] else r"\\", line)
        else:
            yield line


def read_rows(path: Path, dialect: Dialect, reading: Reading | None = None) -> Iterator[Row]:
    """Yield the rows, the header first (of line 0 if dialect.header has it); every row has the header's width.

    Blank lines are left out, and so are empty fields at the end that all rows have beyond the header. dialect:
    delimiter and quoting are set. The list of lines is valid until you ask for the next row. Raises ContentError with
    the line.
    """
    reading = reading or Reading()
    raw: list[str] = []

    def texts() -> Iterator[str]:
        size = 0
        for line in text_lines(path, dialect):
            size = len(line) + (size if raw else 0)
            if size > LONGEST_LINE:
                raise csv.Error(f"a row of more than {LONGEST_LINE:,} characters")
            raw.append(line)
            yield line

    rows = _csv_reader(texts(), dialect, strict=True)
    header, start, count = list(dialect.header or ()), 1, 0 if dialect.header else -1
    width = expected = 0
    if header:
        yield 0, header, []
    try:
        for row in rows:
            if row:
                if len(row) != expected or expected != width:
                    if not header:
                        header = row
                    elif not width:
                        width, expected = len(header), _expected_width(header, row)
                    if width:
                        row = _fitted(path, dialect, start, row, width=width, expected=expected)
                count += 1
                if len(raw) > 1:
                    reading.joined += len(raw) - 1
                    reading.first_joined = reading.first_joined or start
                yield start, row, raw
            else:
                reading.blank += len(raw)
            start = rows.line_num + 1
            raw.clear()
    except csv.Error as error:
        kind = "TSV" if dialect.delimiter == "\t" else "CSV"
        raise ContentError(
            f"Line {start} of {path} is not well-formed {kind}: {error}.",
            'Write a double quote inside a quoted field twice (""), and close every quoted field. Where quotes '
            "are ordinary characters pass --data.quoting none (score and drift: --quoting none).",
        ) from None
    reading.lines += rows.line_num
    reading.headers += not dialect.header
    reading.rows += count
    if not header:
        raise ContentError(f"{path} is an empty file: it has no header line.", "Check the export.")


def _expected_width(header: list[str], first: list[str]) -> int:
    """Return the width of rows: the header's, unless the first row, or the header alone, ends with empty fields."""
    width = len(first)
    beyond = width > len(header) and not any(first[len(header) :])
    return width if beyond or (0 < width < len(header) and not any(header[width:])) else len(header)


def _fitted(path: Path, dialect: Dialect, start: int, row: list[str], *, width: int, expected: int) -> list[str]:
    """Return a row in the header's width. Raises ContentError for one of another than the expected width."""
    if len(row) == expected and not any(row[width:]):
        return [*row[:width], *[""] * (width - expected)]
    remedy = "Put a field that contains the separator or a line break in double quotes."
    if dialect.quoting == "none":
        remedy = (
            "Quotes are ordinary characters here. Where they enclose fields with the separator or a line break in "
            "them pass --data.quoting quoted (score and drift: --quoting quoted)."
        )
    separator = "tab" if dialect.delimiter == "\t" else dialect.delimiter
    remedy += " --data.header must name all columns." if dialect.header else ""
    remedy += f" Where {separator!r} is not the separator pass --data.delimiter (score and drift: --delimiter)."
    wanted = width if len(row) == expected else expected
    raise ContentError(f"Line {start} of {path} has {len(row)} fields instead of {wanted}.", remedy)


def first_lines(path: Path, dialect: Dialect) -> list[str]:
    """Return at most 100 lines, fewer where they are long."""
    lines: list[str] = []
    size = 0
    for line in text_lines(path, dialect):
        size += len(line)
        if lines and (size > 1 << 20 or len(lines) == 100):
            break
        lines.append(line)
    return lines


def parse_rows(lines: list[str], dialect: Dialect) -> list[list[str]]:
    """Return the rows of some lines, the header included, whatever their width."""
    try:
        return [row for row in _csv_reader(lines, dialect) if row]
    except csv.Error:
        return []
