"""The true format of a file, by its first bytes; its name decides only where those say nothing."""

import re
from io import FileIO
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

from lstm_model.data.formats.lines import find_encoding
from lstm_model.data.formats.packed import open_unpacked
from lstm_model.errors import ContentError

Kind = Literal["csv", "tsv", "jsonl", "json", "parquet", "excel"]
"""tsv: delimited text that does not have the ending .csv; json: what is not one object per line."""

HEAD = 1 << 16
TO_PARQUET = "python -c \"import pandas; pandas.read_{}('FILE').to_parquet('rows.parquet')\""
SAVE = "Save it as .xlsx, or as CSV UTF-8, and pass that."
EXPORT = "Export its texts and labels as CSV or JSON Lines."
DOWNLOAD = "It is probably a page about an error or a login. Download the file again."
# Formats that are not read: how they start, what they are, what helps.
REFUSED = [
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel (.xls) or other old Office file", SAVE),
    (rb"PK\x03\x04.{26}mimetypeapplication/vnd.oasis", "an OpenDocument file", SAVE),
    (rb"%PDF-", "a PDF", EXPORT),
    (rb"\{\\rtf", "an RTF document", EXPORT),
    (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)", "an HTML page", DOWNLOAD),
    (rb"(\xef\xbb\xbf)?\s*<\?xml", "XML", EXPORT),
    (rb"SQLite format 3\x00", "a SQLite database", "Export a table: sqlite3 -csv -header FILE 'SELECT ...' > rows.csv"),
    (rb"ARROW1\x00|FEA1(?=.{0,999}\x00)", "a Feather or Arrow file", f"Convert it: {TO_PARQUET.format('feather')}"),
    (rb"\xff{4}.{3}\x00", "an Arrow stream", "Convert it: datasets.Dataset.from_file('FILE').to_parquet(...)"),
    (rb"\x80[\x02-\x05][\x95cC(}\]]", "a pickle, which could run code", f"Convert it where you trust it: "
     f"{TO_PARQUET.format('pickle')}"),
    (rb"Obj\x01", "an Avro file", "Convert it to Parquet, for example with Spark or DuckDB."),
    (rb"ORC(?=.{0,999}\x00)", "an ORC file", f"Convert it: {TO_PARQUET.format('orc')}"),
    (rb"\x89HDF", "an HDF5 file", f"Convert it: {TO_PARQUET.format('hdf')}"),
    (rb"\x93NUMPY", "a NumPy array", "Write texts and labels as CSV, JSON Lines or Parquet."),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\*\x00|MM\x00\*", "an image", "Pass a file of texts and labels."),
    (rb"7z\xbc\xaf|Rar!\x1a", "a 7z or RAR archive", "Unpack it, and pass the file or folder with the rows."),
    (rb".{257}ustar", "a tar archive", "Unpack it (tar -xf FILE), and pass the file or folder with the rows."),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file", "Fetch the file: git lfs pull"),
]  # fmt: skip
BINARY = {
    ".parquet": "Parquet", ".xlsx": "Excel", ".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard",
    ".zip": "zip",
}  # fmt: skip
ENDING = re.compile(r"(\.(csv|tsv|tab|txt|jsonl|ndjson|json|parquet|xlsx))?(\.(gz|bz2|xz|zst|zip))?$", re.IGNORECASE)


def find_kind(path: Path, encoding: str | None = None) -> Kind:
    """Return the format of one file. Raises ContentError, with what helps, for a file of a format that is not read."""
    with open_unpacked(path) as file:
        packed = not isinstance(file.raw, FileIO)
        start = file.peek(HEAD)[:HEAD]
        if start.startswith(b"PAR1"):
            return "parquet"
        for pattern, what, remedy in REFUSED:
            if re.match(pattern, start, re.DOTALL):
                raise ContentError(f"{path} is {what}. This format is not read.", remedy)
        if start.startswith(b"PK\x03\x04"):
            names = ZipFile(file).namelist()
            if "xl/workbook.xml" in names:
                return "excel"
            what = "a Word document" if "word/document.xml" in names else "a document without sheets"
            raise ContentError(f"{path} is {what}. This format is not read.", EXPORT)
    text = start.decode(encoding or find_encoding(start), "replace").removeprefix("\ufeff").lstrip()
    expected = None if packed else BINARY.get(path.suffix.lower())
    if expected and (path.stat().st_size < 4 or re.search(r"[\x00-\x08\x0e-\x1f]", text)):
        raise ContentError(f"{path} is not a complete {expected} file.", "It is cut off or damaged. Copy it again.")
    return _text_kind(text, str(ENDING.search(path.name.lower())[1]))  # type: ignore[index]  # It matches nothing, too.


def _text_kind(text: str, ending: str) -> Kind:
    """Return the format of a text by its start. ending: of the file's name, packing left out."""
    if re.match(r"\[\s*[{\]]", text):
        return "json"
    if re.match(r'\{\s*["}]', text):
        first, _, rest = text.partition("\n")
        return "json" if rest and not first.rstrip().endswith("}") else "jsonl"
    if ending in (".jsonl", ".ndjson", ".json"):
        return "jsonl"
    return "csv" if ending == ".csv" else "tsv"
