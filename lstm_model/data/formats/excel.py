"""The first sheet of an Excel workbook (.xlsx) as rows of strings, with the package openpyxl."""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

from lstm_model.data.formats.lines import Reading
from lstm_model.data.formats.packed import open_seekable
from lstm_model.data.texts import scalar_string
from lstm_model.errors import ContentError, UsageError

MOST_BYTES = 1 << 28  # Of an unpacked workbook: openpyxl keeps its strings in memory.
MOST_CELLS = 30_000_000  # An empty row counts as 20: a cell may have any row number, and all rows before it are empty.


def excel_rows(path: Path, reading: Reading | None = None) -> Iterator[list[str | None]]:
    """Yield the rows that have a cell, the header first; every row has the header's width, empty cells are None.

    Raises UsageError without openpyxl, ContentError for a damaged or huge workbook.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        remedy = "Install it with pip install 'lstm-text[excel]', or save the sheet as CSV UTF-8."
        raise UsageError(f"{path} is an Excel workbook: reading it needs the package openpyxl.", remedy) from None
    file = open_seekable(path)
    if sum(item.file_size for item in ZipFile(file).infolist()) > MOST_BYTES:
        raise ContentError(f"{path} unpacks to more than 256 MB.", "Save the sheet as CSV UTF-8.")
    try:
        workbook = load_workbook(file, read_only=True, data_only=True)
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # Some writers understate them, and openpyxl then leaves out rows.
        if reading and len(workbook.worksheets) > 1:
            reading.note(f"of {len(workbook.worksheets)} sheets, the first one, {sheet.title!r}, is read")
        width = size = 0
        for cells in sheet.iter_rows(values_only=True):
            size += len(cells) or 20
            if size > MOST_CELLS:
                raise ContentError(f"{path} has more than {MOST_CELLS:,} cells.", "Save the sheet as CSV UTF-8.")
            row = [None if cell == "" else scalar_string(cell) for cell in cells]
            if any(cell is not None for cell in row):
                width = width or max(place for place, cell in enumerate(row, 1) if cell is not None)
                yield [*row[:width], *[None] * (width - len(row))]
    except (UsageError, ContentError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  openpyxl raises what its parsers raise
        problem = f"{path} is not a complete Excel workbook: {error or type(error).__name__}."
        raise ContentError(problem, "Save it again, or save the sheet as CSV UTF-8.") from None
    if not width:
        raise ContentError(f"{path} is an empty file: its first sheet has no header line.", "Check the export.")
