"""Small files that unfold, and rows without end: refused, or read, in under 1 GB of memory and a minute.

A child process reads them all; importing the reader takes it a second. Its memory is the system's own count (Linux).
"""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MB = 1 << 20
CHILD = """
import json, resource, sys, time
from pathlib import Path
from lstm_model.data.reading import read_chunks
from lstm_model.errors import ContentError
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
for path in sys.argv[1:]:
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts again.
    start = time.process_time()
    try:
        result = sum(map(len, read_chunks(Path(path), {"text": "text", "label": "label"})))
    except ContentError as error:
        result = error.message
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print(json.dumps([result, int(peak) >> 10, time.process_time() - start]), flush=True)
"""


def packed(*parts: tuple[bytes, int]) -> bytes:
    """Return parts, each repeated, as Zstandard, which unpacks fastest."""
    return b"".join(pa.compress(part, "zstd", asbytes=True) * times for part, times in parts)


def one_value(size: int, rows: int) -> bytes:
    """Return a Parquet file whose text is stored once and repeated by number."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a" * size]))
    buffer, table = io.BytesIO(), pa.table({"text": texts, "label": ["x"] * rows})
    pq.write_table(table, buffer, compression="zstd", dictionary_pagesize_limit=1 << 30, write_statistics=False)
    return buffer.getvalue()


def large_values(size: int, rows: int) -> bytes:
    """Return a Parquet file of texts of this size, each stored by itself."""
    buffer, table = io.BytesIO(), pa.table({"text": ["a" * size], "label": ["x"]})
    with pq.ParquetWriter(buffer, table.schema, compression="zstd", use_dictionary=False) as writer:
        for _ in range(rows):
            writer.write_table(table)
    return buffer.getvalue()


ROW, LONG = b"a" * (MB // 2) + b",x\n", b"a" * 64 * MB
OPEN = b'{"text": "a", "label": "x", "more": '
CASES: dict[str, tuple[str, Callable[[], bytes], int | str]] = {
    "Zstandard bomb": ("a.csv.zst", lambda: packed((ROW * 64, 34)), "unpacks to more than 200 times"),
    "Parquet bomb": ("a.parquet", lambda: one_value(10 * MB, 10_000), "unpacks to more than 200 times"),
    "large values in Parquet": ("a.parquet", lambda: large_values(100 * MB, 11), "unpacks to more than 200 times"),
    "a text of 100 MB in Parquet": ("a.parquet", lambda: large_values(100 * MB, 1), "Row 1 of"),
    "a text of 50 MB that repeats": ("a.parquet", lambda: one_value(50 * MB, 40), "Row 1 of"),
    "1 GB in texts that repeat": ("a.parquet", lambda: one_value(100_000, 10_000), 10_000),
    "300 MB in wide texts": ("a.csv.zst", lambda: packed((b"text,label\n", 1), ("🦉".encode() + ROW, 600)), 600),
    "a text of 128 MB": ("a.csv.zst", lambda: packed((b"text,label\n", 1), (LONG, 2)), "more than 16,777,216"),
    "a quoted text of 100 MB": ("a.csv.zst", lambda: packed((b'text,label\n"', 1), (b"abcdefg\n" * MB, 12)), "Line 2"),
    "a row of quoted texts": (
        "a.csv.zst",
        lambda: packed((b"text,label" + b",c" * 30 + b"\na,x", 1), (b',"' + b"abcdefg\n" * MB + b'"', 30)),
        "a row of more than",
    ),
    "a text of 128 MB in JSON": ("a.json.zst", lambda: packed((b'[{"text": "', 1), (LONG, 2)), "Unterminated string"),
    "an array of open arrays": ("a.json.zst", lambda: packed((b"[" * 64 * MB, 2)), "more than 16,777,216 characters"),
    "spaces in JSON": ("a.json.zst", lambda: packed((b'[{"text":', 1), (b" " * 64 * MB, 9)), "Expecting value"),
    "many lists": ("a.jsonl", lambda: OPEN + b"[%s7]}" % (b"[]," * 3 * MB), 1),
    "a million columns": ("a.csv", lambda: b"text,label%s\na,x%s\n" % (b",c" * MB, b"," * MB), 1),
    "a million keys": ("a.jsonl", lambda: OPEN + b"".join(b'1,"%x":' % n for n in range(MB)) + b"1}", 1),
    "blank lines": ("a.csv.zst", lambda: packed((b"text,label\n", 1), (b"\n" * 64 * MB, 2)), "nearly all of them"),
    "quoted lines that differ": (
        "a.csv",
        lambda: b"text,label\n" + b'"%s",x\n' % b"".join(b"%d,y\n" % n for n in range(MB // 2)) + b"a,b\n",
        2,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    paths = []
    for number, (name, content, _) in enumerate(CASES.values()):
        paths.append(tmp_path_factory.mktemp(f"case{number}") / name)
        paths[-1].write_bytes(content())
    child = subprocess.run([sys.executable, "-c", CHILD, *map(str, paths)], capture_output=True, text=True, timeout=300)
    lines = [*map(json.loads, child.stdout.splitlines())]
    return dict(zip(CASES, [*lines, *[child.stderr] * (len(CASES) - len(lines))], strict=True))


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_read_or_refused_within_bounds(results: dict[str, Any], case: str) -> None:
    result, megabytes, seconds = results[case]
    expected = CASES[case][2]
    assert expected in result if isinstance(expected, str) else result == expected
    assert megabytes < 1_000 and seconds < 60
