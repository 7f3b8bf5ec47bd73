"""Whatever a writer of CSV makes is read back exactly or refused, and no bytes at all are a bug."""

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_model.config.data import Dialect
from lstm_model.data import reading
from lstm_model.data.reading import read_chunks
from lstm_model.errors import LstmTextError
from tests.hostile import Rows, read
from tests.library.test_damaged_files import zipped

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}  # fmt: skip
CELL = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(list(" ,;\t|\"\\\n\r'=x")), max_size=9)
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6)
TOKENS = [
    b"text", b"label", b"id", b",", b"\t", b";", b"|", b'"',
    b'""', b"\\", b"\n", b"\r", b"\0", b"\xff\xfe",
    b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b":", b'{"text": ', b'"label": ', b"NaN", b"1e999", b"\\ud800", b"PAR1",
    b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\x28\xb5\x2f\xfd", b"sep=", b"<", b"\xc3", b"annotations", b"answer",
]  # fmt: skip


def written(rows: Rows, **options: object) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **options).writerows([("text", "label"), *rows])  # type: ignore[arg-type]
    return buffer.getvalue()


# With QUOTE_MINIMAL, Python 3.11 quotes only the line ends that it writes.
options = st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), *((csv.QUOTE_ALL, end) for end in ("\n", "\r\n", "\r"))]).map(
    lambda chosen: {"quoting": chosen[0], "lineterminator": chosen[1]}
)


@given(
    rows=ROWS,
    options=options,
    delimiter=st.sampled_from(list(",;\t|^: ~§")),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "gb18030"]),
    packing=st.sampled_from(list(PACKINGS)),
)
def test_a_table_whose_dialect_is_named_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, options: dict[str, object], delimiter: str, encoding: str,
    packing: str,
) -> None:  # fmt: skip
    path = tmp_path_factory.mktemp("rows") / f"a.csv{packing}"
    path.write_bytes(PACKINGS[packing](written(rows, delimiter=delimiter, **options).encode(encoding)))
    dialect = Dialect(delimiter=delimiter, quoting="quoted", encoding=encoding)
    columns = {"text": "text", "label": "label"}
    found = [
        row for chunk in read_chunks(path, columns, dialect=dialect) for row in chunk[[*columns]].to_numpy().tolist()
    ]
    assert [tuple(row) for row in found] == rows


@given(
    rows=ROWS,
    options=options,
    delimiter=st.sampled_from(list(",;\t|")),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    packing=st.sampled_from(list(PACKINGS)),
    name=st.sampled_from(["a.csv", "a.tsv", "a.txt", "a"]),
)
def test_a_table_whose_dialect_is_found_is_read_exactly_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, options: dict[str, object], delimiter: str, encoding: str,
    packing: str, name: str,
) -> None:  # fmt: skip
    # Between tabs, a field of two lines and two fields of one line may look the same.
    assume(delimiter != "\t" or not any(set(cell or "") & set("\r\n") for row in rows for cell in row))
    path = tmp_path_factory.mktemp("rows") / f"{name}{packing}"
    path.write_bytes(PACKINGS[packing](written(rows, delimiter=delimiter, **options).encode(encoding)))
    try:
        found = read(path)
    except LstmTextError:
        return
    assert found == rows


@given(
    parts=st.lists(st.sampled_from(TOKENS) | st.binary(max_size=9), max_size=30),
    name=st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.xlsx", "a.gz", "a"]),
)
def test_no_bytes_are_a_bug(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], name: str) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(b"".join(parts))
    try:
        assert all(isinstance(cell, str | None) for row in read(path) for cell in row)
    except LstmTextError as error:
        assert len(str(error)) < 3_000


@given(rows=ROWS, chunk_rows=st.integers(1, 20), most=st.integers(0, 30))
def test_chunks_of_long_rows_are_shorter(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, chunk_rows: int, most: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    path.write_text(written(rows * 5), encoding="utf-8", newline="")
    columns = {"text": "text", "label": "label"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_CHARACTERS", most)
        chunks = list(
            read_chunks(path, columns, chunk_rows=chunk_rows, dialect=Dialect(quoting="quoted", delimiter=","))
        )
    assert [tuple(row) for chunk in chunks for row in chunk[[*columns]].to_numpy()] == rows * 5
    assert max(map(len, chunks)) <= chunk_rows
