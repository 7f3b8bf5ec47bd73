"""How a delimited file is written: its separator, by its first rows, and what its quotes mean, by all of them.

A quote that somebody typed looks like one that encloses a field: read as quoting, it joins lines into one field until
the next quote. So a file is checked before it is read. A tab-separated file counts as quoted only if the whole file is.
In all, a quoted field with a line in it that could be a row is an error.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from lstm_model.config.data import Dialect
from lstm_model.data.formats.delimited import SEPARATOR_LINE, first_lines, parse_rows, read_rows
from lstm_model.data.formats.lines import numbered_lines, scan
from lstm_model.data.texts import listed
from lstm_model.errors import ContentError

DELIMITERS = (",", "\t", ";", "|")
MOST_SUSPECTS = 100_000  # Bounds memory; the first ones count.
# Lines inside quoted fields: by key column and its cell there, the line where the field starts and the line itself.
Suspects = dict[tuple[str, str], tuple[int, int]]


def find_delimiter(path: Path, dialect: Dialect, names: Collection[str], *, usual: str) -> tuple[Dialect, str | None]:
    """Return the dialect with its delimiter, and a note where that is not the usual one of the file's ending.

    names: columns that the header should have; a delimiter under which it has them wins.
    """
    lines = first_lines(path, dialect)
    if dialect.delimiter is not None:
        return dialect, None
    first = next((line for _, line in numbered_lines(path, dialect.encoding)), "")
    if said := SEPARATOR_LINE.fullmatch(first):
        found = said[1]
    else:
        present = [delimiter for delimiter in DELIMITERS if any(delimiter in line for line in lines)]
        fits = {delimiter: _fit(lines, dialect, delimiter, names, usual) for delimiter in present}
        best = max(present, key=lambda delimiter: fits[delimiter], default=usual)
        found = best if best in fits and fits[best][1] else usual  # The second: the header has several columns.
    shown = "tabs" if found == "\t" else repr(found)
    return _with(dialect, delimiter=found), None if found == usual else f"fields are separated by {shown}"


def _with(dialect: Dialect, **changes: str) -> Dialect:
    return dialect.model_copy(update=changes)


def _fit(lines: list[str], dialect: Dialect, delimiter: str, names: Collection[str], usual: str) -> tuple[float, ...]:
    """Return how well a delimiter fits the first lines, to compare: the larger the better."""
    fits = []
    either = dialect.quoting == "auto" and any('"' in line for line in lines)
    for quoting in ("quoted", "none") if either else (dialect.quoting,):
        rows = parse_rows(lines, _with(dialect, delimiter=delimiter, quoting=quoting))
        header = dialect.header or (rows[0] if rows else ())
        same = sum(len(row) == len(header) for row in rows) / max(1, len(rows))
        several = len(header) > 1 and (dialect.header is None or same > 0)
        fits.append((len(set(names) & set(header)), several, same, delimiter == usual, len(header)))
    return max(fits)


def read_header(path: Path, dialect: Dialect, names: Collection[str]) -> list[str]:
    """Return the column names, which may be quoted even where the rows are not. dialect: with its delimiter.

    Raises ContentError where the first line has none of `names`, and looks like a row or is not separated.
    """
    given, dialect = dialect.quoting, _with(dialect, quoting="none")
    header = next(read_rows(path, dialect))[1]
    if given != "none" and any('"' in name for name in header):
        dialect = _with(dialect, quoting="backslash" if given == "backslash" else "quoted")
        header = next(read_rows(path, dialect))[1]
    if dialect.header or not names or set(names) & set(header):
        return header
    if len(header) == 1 and sum(name in header[0] for name in names) > 1:
        raise ContentError(
            f"{path} has one column, {header[0][:80]!r}: its separator is none of , ; | and tab.",
            "Name the separator with --data.delimiter (score and drift: --delimiter).",
        )
    rows = parse_rows(first_lines(path, dialect), dialect)[1:]
    cells = ((cell, [row[place] for row in rows if len(row) > place]) for place, cell in enumerate(header[:100]))
    if any(_is_datum(cell, others) for cell, others in cells):
        raise ContentError(
            f"{path}: no header? Its first line has {listed(header)} instead of names of columns.",
            f"Name the columns with --data.header {','.join(names)} (score and drift: --header), all of them in order, "
            "or add such a first line.",
        )
    return header


def _is_datum(cell: str, others: list[str]) -> bool:
    number = re.fullmatch(r"[-+]?[\d.,]*\d", cell.strip())
    return bool(cell.strip()) and (len(cell.split()) > 3 or len(cell) > 60 or bool(number) or cell in others)


def choose_quoting(
    path: Path, dialect: Dialect, *, keys: Sequence[str], id_column: str | None
) -> tuple[Dialect, str | None]:
    """Return the dialect with its quoting, and why, for the log; None where the file has no quotes.

    keys: the columns that show whether a line is a row: the label's, or all but the text's. id_column: which of them
    has ids. Raises ContentError where a quoted field contains a line that could be a row, and for a TSV that can be
    read neither way.
    """
    if dialect.quoting != "auto":
        return dialect, f"quoting is set to {dialect.quoting}"
    quoted, backslash, none = (_with(dialect, quoting=quoting) for quoting in ("quoted", "backslash", "none"))
    if not scan(path).quotes:
        return quoted, None
    problem, suspects = _check(path, quoted, keys, id_column)
    is_tsv = dialect.delimiter == "\t"
    if problem is None and not (is_tsv and suspects):
        return quoted, "quotes enclose fields"
    if scan(path).escaped_quotes and _check(path, backslash, keys, id_column) == (None, {}):
        return backslash, 'quotes enclose fields, with \\" for a quote inside: the file is well-formed only that way'
    if is_tsv:
        misfit = _misfit(path, none)
        if misfit is None:
            why = "lines inside a field have the header's width, as all lines do"
            if problem:
                why = problem.message.replace(f" of {path}", "").removesuffix(".")
            return none, f"quotes are ordinary characters, because they do not fit as quoting: {why}"
        if problem:
            problem = ContentError(f"{problem.message} Without quoting, {misfit}", problem.remedy)
    if problem:
        raise problem
    return quoted, "quotes enclose fields"


def _check(
    path: Path, dialect: Dialect, keys: Sequence[str], id_column: str | None
) -> tuple[ContentError | None, Suspects]:
    """Return why the file cannot be read with this quoting, if so, and the lines inside fields that may be rows."""
    try:
        suspects = _lines_inside_fields(path, dialect, keys)
    except ContentError as error:
        return error, {}
    return _swallowed_row(path, dialect, suspects, id_column), suspects


def _misfit(path: Path, unquoted: Dialect) -> str | None:
    """Return why a TSV cannot be read without quoting: a line of another width, or that there is one column."""
    try:
        width = {len(row) for _, row, _ in read_rows(path, unquoted)}
    except ContentError as error:
        return error.message.replace(f" of {path}", "").replace("Line", "line", 1)
    return "it has one column." if width == {1} else None


def _lines_inside_fields(path: Path, dialect: Dialect, keys: Sequence[str]) -> Suspects:
    """Return the lines inside quoted fields that have the header's width.

    A TSV of one column has no keys: any further line of a field could be a row. Raises ContentError where the file is
    not well-formed with quoting.
    """
    rows = read_rows(path, dialect)
    header = next(rows)[1]
    alone = len(header) == 1 and dialect.delimiter == "\t"
    columns = {name: header.index(name) for name in (header if alone else keys) if name in header}
    suspects: Suspects = {}
    for start, _, raw in rows:
        if len(raw) > 1:
            for number, cells in _lines_inside(raw, str(dialect.delimiter), len(header)):
                for name, column in columns.items():
                    cell = cells[column]
                    if cell is not None and cell.strip() and len(suspects) < MOST_SUSPECTS:
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


def _swallowed_row(path: Path, dialect: Dialect, suspects: Suspects, id_column: str | None) -> ContentError | None:
    """Return the error for the first suspect that is a row: its key cell is one that other rows have, or a new id.

    In a file of one column every suspect could be a row.
    """
    if not suspects:
        return None
    rows = read_rows(path, dialect)
    header = next(rows)[1]
    if len(header) > 1:
        columns = {name: header.index(name) for name, _ in suspects}
        seen: set[tuple[str, str]] = set()
        shapes: set[str] = set()
        for _, row, _ in rows:
            seen.update(key for name, column in columns.items() if (key := (name, row[column])) in suspects)
            if id_column in columns:
                shapes.add(_shape(row[columns[id_column]]))
        suspects = {
            key: place
            for key, place in suspects.items()
            if (key not in seen and _is_new_id(key[1], shapes) if key[0] == id_column else key in seen)
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


def _is_new_id(cell: str, shapes: set[str]) -> bool:
    """Return whether a cell that is no id looks like one, and has a digit."""
    return any(map(str.isdigit, cell)) and _shape(cell) in shapes


def _shape(identifier: str) -> str:
    """Return an id with each run of digits and of letters as one character: `r17` and `r204` have one shape."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", identifier))
