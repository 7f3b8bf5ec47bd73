"""Files as rows of strings: nothing guessed, every fault named."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from lstm_model.errors import ContentError, LstmTextError, UsageError
from lstm_model.reading import read_chunks, read_columns

COLUMNS = {"example_id": "id", "text": "text", "label": "label"}
ROWS = [
    {"id": "007", "text": 'He said "no", twice,\nthen left', "label": "NA"},
    {"id": "8", "text": "null", "label": "null"},
    {"id": "NA", "text": "", "label": "1.0"},
]


def read(path: Path, chunk_rows: int = 2) -> pd.DataFrame:
    return pd.concat(list(read_chunks(path, COLUMNS, chunk_rows=chunk_rows)), ignore_index=True)


def write(path: Path, name: str) -> Path:
    """Write ROWS in the format that the name's ending says."""
    frame, file = pd.DataFrame(ROWS), path / name
    kind = name.removesuffix(".gz").rsplit(".", 1)[1]
    if kind == "parquet":
        frame.to_parquet(file)
        return file
    text = (
        "".join(json.dumps(row) + "\n" for row in ROWS)
        if kind == "jsonl"
        else frame.to_csv(index=False, sep="\t" if kind == "tsv" else ",")
    )
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.tsv.gz", "a.jsonl.gz", "A.CSV"]
)
def test_every_format_gives_the_same_strings(tmp_path: Path, name: str) -> None:
    frame = read(write(tmp_path, name))
    expected = pd.DataFrame(ROWS).rename(columns={"id": "example_id"})
    assert frame[list(COLUMNS)].to_dict("records") == expected[list(COLUMNS)].to_dict("records")
    assert frame["problem"].isna().all()


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_chunks_hold_all_rows_in_order(tmp_path: Path, chunk_rows: int) -> None:
    assert list(read(write(tmp_path, "a.csv"), chunk_rows)["example_id"]) == ["007", "8", "NA"]


def test_a_missing_column_is_absent_and_the_file_s_columns_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,other\nhello,1\n")
    assert read_columns(path) == ["text", "other"]
    assert list(read(path).columns) == ["text", "problem"]


def test_numbers_in_json_lines_become_their_digits_and_other_texts_are_problems(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    texts: list[object] = ["fine", None, 5, ["a"], "\ud800"]
    path.write_text("".join(json.dumps({"id": i, "text": text, "label": True}) + "\n" for i, text in enumerate(texts)))
    frame = read(path)
    assert list(frame["example_id"]) == ["0", "1", "2", "3", "4"] and set(frame["label"]) == {"true"}
    problems = [None if pd.isna(problem) else problem for problem in frame["problem"]]
    assert problems == [None, "null", "not text: int 5", 'not text: list ["a"]', problems[4]]
    assert "surrogate" in str(problems[4])
    assert list(frame["text"].notna()) == [True, False, False, False, False]


def test_a_byte_order_mark_a_nul_and_a_5_mb_cell_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufefftext,label\n".encode() + b"nul\x00here,x\n" + b"a " * 2_500_000 + b",y\n")
    assert [len(text) for text in read(path)["text"]] == [8, 5_000_000]


def test_integer_labels_in_parquet_become_digits_but_integer_texts_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"id": [1, 2], "text": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "a.parquet")
    assert list(read(tmp_path / "a.parquet")["label"]) == ["0", "1"]
    pd.DataFrame({"text": [1, 2]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ContentError, match="strings in column 'text'"):
        read(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("name", "contents", "kind", "message"),
    [
        ("a.csv", b"", ContentError, "header line"),
        ("a.jsonl", b"\n", ContentError, "empty file"),
        ("a.csv", b"text,label\nfine,x\ncaf\xe9,y\n", ContentError, "0xe9 at position 4 of line 3"),
        ("a.csv", "text,label\n".encode("utf-16"), ContentError, "UTF-16"),
        ("a.csv", b"text,label\nfine,x\nshort\n", ContentError, "2 fields in line 3"),
        ("a.csv", b'text,label\nfine,x\n"open,y\nmore,z\n', ContentError, "line 3"),
        ("a.csv", b"text,text\na,b\n", ContentError, "'text' more than once"),
        ("a.jsonl", b'{"text": "a"}\n{broken\n', ContentError, "line 2"),
        ("a.jsonl", b"[1]\n", ContentError, "a list"),
        ("a.jsonl", b'{"text": "a", "label": [1]}\n', ContentError, "'label' in line 1"),
        ("a.csv.gz", gzip.compress(b"text,label\n" + bytes(range(65, 90)) * 999)[:-30], ContentError, "complete gzip"),
        ("a.csv.gz", b"text,label\n", ContentError, "complete gzip"),
        ("a.parquet", b"PAR1 but not really", ContentError, "complete Parquet"),
        ("a.xlsx", b"", UsageError, "ends in one of"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, name: str, contents: bytes, kind: type[LstmTextError], message: str) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(kind, match=message):
        read(tmp_path / name)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="a folder"):
        read(tmp_path)
