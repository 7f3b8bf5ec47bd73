"""The true format of a file, whatever its name: unpacked, recognised, or refused by name with what helps."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from lstm_model.data.formats import excel, lines
from lstm_model.data.formats.kinds import find_kind
from lstm_model.data.formats.lines import Reading
from lstm_model.data.reading import estimate_rows, read_chunks, read_columns
from lstm_model.errors import ContentError, UsageError

COLUMNS = {"text": "text", "label": "label"}
ROWS = [("hello, you", "x"), ("bye", "y")]
CSV = b'text,label\n"hello, you",x\nbye,y\n'
JSON = b'[{"text": "hello, you", "label": "x"}, {"text": "bye", "label": "y"}]'


def read(path: Path, columns: dict[str, str] = COLUMNS, reading: Reading | None = None) -> list[tuple[Any, ...]]:
    frame = pd.concat(list(read_chunks(path, columns, reading=reading)))
    return list(frame[list(columns)].itertuples(index=False, name=None))


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return buffer.getvalue()


def zstandard(content: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return buffer.getvalue().to_pybytes()


def tarred(content: bytes) -> bytes:
    buffer, member = io.BytesIO(), tarfile.TarInfo("rows.csv")
    member.size = len(content)
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def workbook(*sheets: list[tuple[Any, ...]]) -> bytes:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.worksheets[0])
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    book.save(buffer)
    return buffer.getvalue()


TABLE = pa.table({"text": ["hello, you", "bye"], "label": ["x", "y"]})
CONTENTS = {
    "csv": CSV,
    "tsv": CSV.replace(b",x", b"\tx").replace(b",y", b"\ty").replace(b"t,l", b"t\tl"),
    "lines": JSON[1:-1].replace(b"}, ", b"}\n"),
    "array": JSON,
    "parquet": parquet(TABLE),
    "excel": workbook([("text", "label"), *ROWS]),
}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "two gzip members": lambda content: gzip.compress(content[:7]) + gzip.compress(content[7:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "Zstandard": zstandard,
    "zip": lambda content: zipped(("data/rows", content), ("__MACOSX/data/._rows", b"x"), ("data/.DS_Store", b"y")),
    "gzip in zip": lambda content: zipped(("rows.gz", gzip.compress(content))),
    "zip in gzip": lambda content: gzip.compress(zipped(("rows", content))),
}


@pytest.mark.parametrize("name", ["rows.csv", "rows.gz"])
@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", CONTENTS)
def test_every_format_is_read_in_every_packing_under_any_name(
    tmp_path: Path, kind: str, packing: str, name: str
) -> None:
    path = put(tmp_path / name, PACK[packing](CONTENTS[kind]))
    assert read_columns(path) == ["text", "label"]
    assert read(path) == ROWS
    assert estimate_rows(path) == {"parquet": 2, "array": 1, "excel": 0}.get(kind, 2)


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz", "Zstandard", "zip"])
@pytest.mark.parametrize("kept", [0.4, 0.9])
def test_a_packed_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, packing: str, kept: float) -> None:
    content = PACK[packing](b"text,label\n" + b"".join(b"text %d,x\n" % (number**7) for number in range(9_000)))
    with pytest.raises(ContentError, match=f"is not a complete {packing} file: .* Copy or download it again"):
        read(put(tmp_path / "a.csv", content[: int(kept * len(content))]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(("a.csv", CSV), ("b.csv", CSV)), r"zip archive of 2 files \('a.csv', 'b.csv'\). Unpack it"),
        (zipped(), "zip archive of 0 files"),
        (gzip.compress(zipped(*((f"{n}.csv", CSV) for n in range(30)))), "of 30 files .*'19.csv', ..."),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(CSV)))), "packed more than 3 times"),
        (
            zipped(("a.csv", CSV)).replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
            "encrypt",
        ),
    ],
)
def test_an_archive_without_one_readable_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        read(put(tmp_path / "a.csv", content))


def written(write: Callable[[Any, io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(TABLE, buffer)
    return buffer.getvalue()


def arrow_stream(table: pa.Table, buffer: io.BytesIO) -> None:
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)


REFUSED: dict[str, tuple[bytes, str]] = {
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ".xlsx"),
    "OpenDocument": (
        zipped(("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", b"")),
        ".xlsx",
    ),
    "Word": (zipped(("[Content_Types].xml", b""), ("word/document.xml", b"")), "CSV"),
    "document without sheets": (zipped(("[Content_Types].xml", b""), ("ppt/presentation.xml", b"")), "CSV"),
    "PDF": (b"%PDF-1.7\n", "CSV"),
    "RTF": (rb"{\rtf1\ansi}", "CSV"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body>text,label</body></html>", "Download"),
    "HTML page": (b"<html>", "Download"),
    "XML": (b'<?xml version="1.0"?>', "CSV"),
    "SQLite": (b"SQLite format 3\x00", "sqlite3 -csv"),
    "Feather": (written(pa.feather.write_feather), "read_feather"),
    "Arrow stream": (written(arrow_stream), "to_parquet"),
    "pickle": (pickle.dumps(pd.DataFrame({"text": ["a"]})), "read_pickle"),
    "a pickle": (pickle.dumps(["a"], 2), "read_pickle"),
    "ORC": (written(pa.orc.write_table), "read_orc"),
    "Avro": (b"Obj\x01\x04", "Parquet"),
    "image": (b"\x89PNG\r\n\x1a\n", "texts"),
    "tar": (tarred(CSV), "tar -xf"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "Unpack"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("case", REFUSED)
def test_a_format_that_is_not_read_is_refused_by_name(
    tmp_path: Path, case: str, pack: Callable[[bytes], bytes]
) -> None:
    content, remedy = REFUSED[case]
    for name in ("rows.csv", "rows.parquet"):
        with pytest.raises(ContentError) as caught:
            read(put(tmp_path / name, pack(content)))
        assert case in caught.value.message and "This format is not read." in caught.value.message
        assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    "start", [b"ORCID", b"FEA1", b"GIF8", b"BZh", b"PK", b"ARROW1", b"%PDF", b"Rar!", b"[tag]", b"{a}"]
)
def test_a_header_that_starts_like_another_format_is_a_header(tmp_path: Path, start: bytes) -> None:
    path = put(tmp_path / "a.csv", start + b",text,label\n1,a,x\n")
    assert read_columns(path)[0] == start.decode() and read(path) == [("a", "x")]


@pytest.mark.parametrize("name", ["a.parquet", "a.gz", "a.xlsx", "a.zip", "a.bz2", "a.zst"])
@pytest.mark.parametrize("content", [b"", b"PA", bytes(range(256))])
def test_bytes_that_are_nothing_under_a_binary_name_are_a_damaged_file(
    tmp_path: Path, name: str, content: bytes
) -> None:
    with pytest.raises(ContentError, match=r"is not a complete (Parquet|gzip|Excel|zip|bzip2|Zstandard) file"):
        read(put(tmp_path / name, content))


def test_numbers_of_any_type_in_parquet_become_digits(tmp_path: Path) -> None:
    table = pa.table({
        "text": ["a", "b", "c"],
        "label": [0.0, 1.0, None],
        "id": pa.array([float("nan"), 12.0, 1e15]),
        "half": [4.5, 5.0, -0.0],
        "large": pa.array([2**62, None, 3], pa.int64()),
        "decimal": pa.array([Decimal("1.00"), Decimal("2.50"), None]),
        "day": pa.array([date(2026, 1, 2), None, date(2026, 1, 3)]),
        "time": pa.array([datetime(2026, 1, 2, 3, 4), None, None]),
        "flag": [True, False, None],
        "list": [["a"], [], ["b"]],
        "category": pa.array([1.0, 2.0, 1.0]).dictionary_encode(),
    })  # fmt: skip
    path = put(tmp_path / "a.parquet", parquet(table))
    names = [name for name in table.column_names if name != "text"]
    columns = list(zip(*read(path, {name: name for name in names}), strict=True))
    assert dict(zip(names, columns, strict=True)) == {
        "label": ("0", "1", None),
        "id": (None, "12", "1000000000000000"),
        "half": ("4.5", "5", "0"),
        "large": ("4611686018427387904", None, "3"),
        "decimal": ("1", "2.50", None),
        "day": ("2026-01-02", None, "2026-01-03"),
        "time": ("2026-01-02T03:04:00", None, None),
        "flag": ("true", "false", None),
        "list": ("a", None, "b"),
        "category": ("1", "2", "1"),
    }


@pytest.mark.parametrize("values", [[["a", "b"], []], [{"a": 1}, None], [b"a", b"b"], [float("inf"), 1.0]])
def test_labels_that_are_no_scalars_are_refused_with_their_row(tmp_path: Path, values: list[Any]) -> None:
    path = put(tmp_path / "a.parquet", parquet(pa.table({"text": ["a", "b"], "label": values})))
    with pytest.raises(ContentError, match=r"Row 1 of .* has in column 'label' (a list of 2|neither)"):
        read(path)


def test_a_parquet_column_that_nobody_uses_may_occur_twice_and_be_anything(tmp_path: Path) -> None:
    table = pa.table([["a"], ["x"], [b"1"], [[1]]], names=["text", "label", "other", "other"])
    assert read(put(tmp_path / "a.parquet", parquet(table))) == [("a", "x")]


def test_cells_of_excel_are_strings_of_the_first_sheet(tmp_path: Path) -> None:
    rows = [(), ("id", "text", "label", None), (1, "a", 1.0), (2.5, 7, datetime(2026, 1, 2)), (None, None, None), (3,)]
    reading, path = Reading(), put(tmp_path / "a.xlsx", workbook(rows, [("text", "label")]))
    assert read_columns(path) == ["id", "text", "label"]
    assert read(path, {"id": "id", **COLUMNS}, reading) == [
        ("1", "a", "1"), ("2.5", "7", "2026-01-02T00:00:00"), ("3", None, None),
    ]  # fmt: skip
    assert reading.account == "of 2 sheets, the first one, 'Sheet 1', is read"
    with pytest.raises(ContentError, match="empty file"):
        read(put(tmp_path / "b.xlsx", workbook([])))


def test_excel_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(UsageError, match=r"pip install 'lstm-text\[excel\]'"):
        read(put(tmp_path / "a.xlsx", workbook([("text", "label")])))


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": lambda content: bz2.compress(content[:100_000]) * (len(content) // 100_000),
    "zip": lambda content: zipped(("a.csv", content)),
    "Zstandard": zstandard,
    "gzip in gzip": lambda content: gzip.compress(gzip.compress(content)),
}


@pytest.mark.parametrize("line", [b"text,label\n", b"\n", bytes(11)])
@pytest.mark.parametrize("packing", BOMBS)
def test_a_decompression_bomb_is_refused(
    tmp_path: Path, packing: str, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm_model.data.formats.packed.LARGE", 1 << 20)  # Of a bomb, not of a gigabyte.
    path = put(tmp_path / "a.csv", BOMBS[packing](CSV + line * (3_500_000 // len(line))))
    with pytest.raises(ContentError, match="unpacks to more than 200 times its size and more than 1 GB"):
        read(path)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "compression": "zstd"}])
def test_a_parquet_bomb_is_refused_before_it_unfolds(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm_model.data.formats.packed.LARGE", 1 << 20)
    table = pa.table({"text": ["x" * 100_000] * 50, "label": ["a"] * 50})
    path = put(tmp_path / "a.parquet", parquet(table, row_group_size=20, **options))
    with pytest.raises(ContentError, match="unpacks to more than 200 times its size and more than 1 GB"):
        read(path)


def test_a_parquet_of_long_texts_that_repeat_is_read_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_model.data.formats.parquet.SLICE_BYTES", 3_000)
    labels = [None if number % 7 == 0 else f"{number % 3}" for number in range(50)]
    path = put(tmp_path / "a.parquet", parquet(pa.table({"text": ["x" * 1_000] * 50, "label": labels})))
    assert read(path) == [("x" * 1_000, label) for label in labels]


def test_a_line_without_an_end_and_blank_lines_without_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1_000)
    with pytest.raises(ContentError, match=r"Line 2 of .* has more than 1,000 characters"):
        read(put(tmp_path / "a.csv", b"text,label\n" + b"a" * 2_000))
    blank = gzip.compress(b"text,label\n" + b"\n" * 21_000_000, 1)
    with pytest.raises(ContentError, match="lines, nearly all of them blank"):
        read(put(tmp_path / "b.csv", blank))


def test_a_huge_workbook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MOST_BYTES", 1_000)
    with pytest.raises(ContentError, match="Save the sheet as CSV"):
        read(put(tmp_path / "a.xlsx", workbook([("text", "label")])))


def test_a_pipe_is_no_file_to_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="no regular file"):
        read(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="no regular file"):
        find_kind(tmp_path / "pipe.csv")
