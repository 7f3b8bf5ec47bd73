"""Files with changed bits or without their ends: refused, or read; where the packing has a checksum, read right."""

import bz2
import gzip
import io
import lzma
import random
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from lstm_model.errors import ContentError
from tests.hostile import read

pytestmark = pytest.mark.usefixtures("quick")
FRAME = pd.DataFrame({"text": ["a, b", 'say "c"', "日本 語", "1 + 1 = 2"] * 9, "label": ["x", "y"] * 18})
RIGHT = list(FRAME.itertuples(index=False, name=None))


def parquet(**options: object) -> bytes:
    buffer = io.BytesIO()
    FRAME.to_parquet(buffer, index=False, **options)
    return buffer.getvalue()


def excel() -> bytes:
    buffer = io.BytesIO()
    FRAME.to_excel(buffer, index=False)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return buffer.getvalue()


CSV = FRAME.to_csv(index=False).encode()
FILES = {
    "snappy.parquet": parquet(),
    "plain.parquet": parquet(compression=None, use_dictionary=False, write_statistics=False),
    "zstd.parquet": parquet(compression="zstd", data_page_version="2.0"),
    "a.csv.zst": pa.compress(CSV, "zstd", asbytes=True),
    "a.csv.gz": gzip.compress(CSV),
    "a.csv.bz2": bz2.compress(CSV),
    "a.csv.xz": lzma.compress(CSV),
    "a.csv.zip": zipped(CSV),
    "a.xlsx": excel(),
    "a.csv": CSV,
    "a.jsonl": FRAME.to_json(orient="records", lines=True).encode(),
    "a.json": FRAME.to_json(orient="records").encode(),
}
WITH_CHECKSUM = ("a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zip")


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert read(tmp_path / name) == RIGHT


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FILES)
def test_changed_bits_are_no_bug(tmp_path: Path, name: str, seed: int) -> None:
    chosen = random.Random(seed)
    for _ in range(15):
        changed = bytearray(FILES[name])
        for _ in range(chosen.choice([1, 1, 4])):
            changed[chosen.randrange(len(changed))] ^= 1 << chosen.randrange(8)
        (tmp_path / name).write_bytes(changed)
        try:
            rows = read(tmp_path / name)
        except ContentError:
            continue
        assert name not in WITH_CHECKSUM or rows in (RIGHT, [])  # No rows: the first bytes name no packing any more.


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.1])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_refused_or_has_fewer_rows(tmp_path: Path, name: str, kept: float) -> None:
    (tmp_path / name).write_bytes(FILES[name][: int(len(FILES[name]) * kept)])
    if name in ("a.csv", "a.jsonl"):  # Some of their starts are whole files.
        try:
            rows = read(tmp_path / name)
        except ContentError:
            return
        assert rows[:-1] == RIGHT[: len(rows) - 1]
    else:
        with pytest.raises(ContentError):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["snappy.parquet", "plain.parquet", "zstd.parquet"])
def test_a_schema_that_fits_no_column_does_not_abort_the_process(tmp_path: Path, name: str) -> None:
    changed = FILES[name].replace(b"%\x02\x18\x04text", b"%\x06\x18\x04text")  # A repetition type that is none.
    assert changed != FILES[name]
    (tmp_path / name).write_bytes(changed)
    with pytest.raises(ContentError, match="not a complete Parquet file"):
        read(tmp_path / name)
