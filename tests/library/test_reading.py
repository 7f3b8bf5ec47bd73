"""Files as rows of strings: nothing guessed, every fault named."""

import csv
import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.data.reading import file_format, read_chunks, read_columns, unchanged_file
from lstm_model.data.text_columns import text_sources
from lstm_model.data.texts import text_problem
from lstm_model.digests import digest_file
from lstm_model.errors import ContentError, LstmTextError, UsageError

COLUMNS = {"example_id": "id", "text": "text", "label": "label"}
ROWS = [
    {"id": "007", "text": 'He said "no", twice,\nthen left', "label": "NA"},
    {"id": "8", "text": "null", "label": "null"},
    {"id": "NA", "text": "", "label": "1.0"},
]


FORMATS = (".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".parquet")


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


def test_a_missing_column_is_absent_and_the_file_s_columns_are_given(tmp_path: Path) -> None:
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
    with pytest.raises(ContentError, match=r"Column 'text' of .* has type int64, not strings"):
        read(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("name", "contents", "kind", "message"),
    [
        ("a.csv", b"", ContentError, "header line"),
        ("a.jsonl", b"\n", ContentError, "empty file"),
        ("a.csv", b"text,label\nfine,x\ncaf\xe9,y\n", ContentError, "0xe9 at position 4 of line 3"),
        ("a.csv", b"text,label\nfine,x\nshort\n", ContentError, "Line 3 of .* has 1 fields instead of 2"),
        ("a.csv", b'text,label\nfine,x\n"open,y\nmore,z\n', ContentError, "Line 3"),
        ("a.csv", b"text,text\na,b\n", ContentError, "'text' more than once"),
        ("a.jsonl", b'{"text": "a"}\n{broken\n', ContentError, "Line 2"),
        ("a.jsonl", b"[1]\n", ContentError, "a list"),
        (
            "a.jsonl",
            b'{"text": "a", "label": [1, 2]}\n',
            ContentError,
            "'label' in line 1.*list of 2 items.*no multi-label",
        ),
        ("a.csv.gz", gzip.compress(b"text,label\n" + bytes(range(65, 90)) * 999)[:-30], ContentError, "complete gzip"),
        ("a.parquet", b"PAR1 but not really", ContentError, "complete Parquet"),
        ("a.xlsx", b"", ContentError, "complete Excel file"),
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


TUPLES = [
    ("1", "plain words", "world"),
    ("007", 'commas, "quotes"\tand tabs', "NA"),
    ("x 9", "two\nlines\r\nor three", "null"),
    ("1e5", "Ωμέγα, 日本語, مرحبا, 🦉", "007"),
    ("", "", "1.50"),
    ("-0", "NaN", "True"),
]


def frame_of(path: Path, columns: dict[str, str] = COLUMNS) -> pd.DataFrame:
    return pd.concat(list(read_chunks(path, columns)), ignore_index=True)


def put(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_rows(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Write id, text and label as the path's ending says, with the standard library's or Arrow's own writer."""
    if path.suffix == ".parquet":
        pq.write_table(
            pa.table(dict(zip(("id", "text", "label"), map(list, zip(*rows, strict=True)), strict=True))), path
        )
        return path
    if ".jsonl" in path.name:
        lines = (json.dumps(dict(zip(("id", "text", "label"), row, strict=True))) + "\n" for row in rows)
        return put(path, "".join(lines))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t" if ".tsv" in path.name else ",")
    writer.writerows([("id", "text", "label"), *rows])
    return put(path, buffer.getvalue())


def refusal(path: Path) -> str:
    with pytest.raises(ContentError) as caught:
        frame_of(path)
    return str(caught.value)


@pytest.mark.parametrize("ending", FORMATS)
def test_columns_are_named_in_order_in_every_format(tmp_path: Path, ending: str) -> None:
    assert read_columns(write_rows(tmp_path / f"rows{ending}", TUPLES)) == ["id", "text", "label"]


@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=12)] * 3), min_size=1, max_size=6
    ),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
)
def test_any_strings_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], ending: str
) -> None:
    frame = frame_of(write_rows(tmp_path_factory.mktemp("rows") / f"rows{ending}", rows))
    assert list(frame[["example_id", "text", "label"]].itertuples(index=False, name=None)) == rows


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("chunk_rows", [1, 4, 6, 100])
def test_chunks_hold_the_same_rows_whatever_their_size(tmp_path: Path, ending: str, chunk_rows: int) -> None:
    path = write_rows(tmp_path / f"rows{ending}", TUPLES)
    chunks = list(read_chunks(path, COLUMNS, chunk_rows=chunk_rows))
    assert max(map(len, chunks)) <= chunk_rows
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), frame_of(path))


def test_integers_and_categories_in_parquet_become_strings(tmp_path: Path) -> None:
    table = pa.table({"id": [7, 8], "text": ["t", "u"], "label": pa.array(["NA", "b"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    frame = frame_of(tmp_path / "a.parquet")
    assert list(frame["example_id"]) == ["7", "8"]
    assert list(frame["label"]) == ["NA", "b"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_column_that_the_file_lacks_is_absent(tmp_path: Path, ending: str) -> None:
    path = write_rows(tmp_path / f"rows{ending}", TUPLES)
    frame = frame_of(path, {"text": "text", "label": "category"})
    assert list(frame.columns) == ["text", "problem"]
    assert len(frame) == len(TUPLES)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_column_may_be_read_under_two_names(tmp_path: Path, ending: str) -> None:
    path = write_rows(tmp_path / f"rows{ending}", TUPLES)
    frame = frame_of(path, {"label": "label", "slice": "label", "example_id": "id", "other": "id"})
    assert list(frame["slice"]) == list(frame["label"]) == [label for _, _, label in TUPLES]
    assert list(frame["other"]) == list(frame["example_id"])


@pytest.mark.parametrize("ending", FORMATS)
def test_several_text_columns_are_joined(tmp_path: Path, ending: str) -> None:
    path = write_rows(tmp_path / f"rows{ending}", TUPLES)
    frame = frame_of(path, {**text_sources(["text", "id"]), "label": "label"})
    assert list(frame.columns) == ["text", "label", "problem"]
    assert list(frame["text"]) == [f"{text} \ue000 {row_id}" for row_id, text, _ in TUPLES]


def test_of_several_json_texts_null_is_empty_and_a_number_a_problem(tmp_path: Path) -> None:
    rows = ['{"a": "x", "b": null}', '{"b": "y"}', '{"a": null}', '{"a": "x", "b": 5}']
    frame = frame_of(put(tmp_path / "a.jsonl", "\n".join(rows)), text_sources(["a", "b"]))
    assert list(frame["text"]) == ["x \ue000 ", " \ue000 y", None, None]
    assert list(frame["problem"]) == [None, None, "null", "not text: int 5"]


def test_a_frame_without_the_text_column_has_no_problem_column(tmp_path: Path) -> None:
    assert list(frame_of(put(tmp_path / "a.csv", "id,label\n1,b\n")).columns) == ["example_id", "label"]


def test_a_key_that_a_json_line_lacks_is_null(tmp_path: Path) -> None:
    frame = frame_of(put(tmp_path / "a.jsonl", '{"text": "t", "label": "a"}\n{"label": "b"}\n'))
    assert list(frame["text"]) == ["t", None]
    assert list(frame["problem"]) == [None, "null"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("null", "null"),
        ("5", "not text: int 5"),
        ("true", "not text: bool true"),
        ('["a"]', 'not text: list ["a"]'),
        ('{"a": 1}', 'not text: dict {"a": 1}'),
        (r'"half \ud83d"', "not text: holds half of a surrogate pair"),
    ],
)
def test_a_json_text_that_is_no_string_gets_a_problem_and_no_text(tmp_path: Path, value: str, problem: str) -> None:
    frame = frame_of(
        put(tmp_path / "a.jsonl", f'{{"text": "fine", "label": "a"}}\n{{"text": {value}, "label": "b"}}\n')
    )
    assert list(frame["text"]) == ["fine", None]
    assert list(frame["problem"]) == [None, problem]
    assert list(frame["label"]) == ["a", "b"]


def test_a_whole_surrogate_pair_is_one_character(tmp_path: Path) -> None:
    assert list(frame_of(put(tmp_path / "a.jsonl", r'{"text": "\ud83e\udd89"}'))["text"]) == ["🦉"]


def test_a_null_text_in_parquet_gets_a_problem(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None], "label": ["x", "y"]}), tmp_path / "a.parquet")
    assert list(frame_of(tmp_path / "a.parquet")["problem"]) == [None, "null"]


@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_every_string_that_utf8_can_hold_is_text(value: str) -> None:
    assert text_problem(value) is None


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    frame = frame_of(put(tmp_path / "a.csv", b"\xef\xbb\xbfid,text,label\n1,t,a\n"))
    assert list(frame["example_id"]) == ["1"]
    assert list(frame_of(put(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"text": "t"}\n'))["text"]) == ["t"]


def test_a_byte_order_mark_inside_the_file_stays(tmp_path: Path) -> None:
    assert list(frame_of(put(tmp_path / "a.csv", "text\n\ufeffa\n"))["text"]) == ["\ufeffa"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_bytes_that_are_no_utf8_are_named_by_their_line(tmp_path: Path, name: str) -> None:
    message = refusal(put(tmp_path / name, b"id,text,label\n1,fine,a\n2,caf\xe9,b\n"))
    assert "byte 0xe9 at position 6 of line 3" in message


def test_text_in_parquet_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"\x00\x00\x00\x00\x01\x00\x00\x00")
    texts = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    assert "0xff" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize("ending", [".csv.gz", ".tsv.gz", ".jsonl.gz"])
@pytest.mark.parametrize("lost", [1, 20, 400])
def test_a_truncated_gzip_is_refused(tmp_path: Path, ending: str, lost: int) -> None:
    path = write_rows(tmp_path / f"rows{ending}", [(str(i), f"text {i**5}", "a") for i in range(500)])
    path.write_bytes(path.read_bytes()[:-lost])
    assert "not a complete gzip file" in refusal(path)


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv.gz", [(str(i), f"text {i**5}", "a") for i in range(500)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert "not a complete gzip file" in refusal(path)
    data[0] ^= 1
    path.write_bytes(data)
    assert "not a complete gzip file" in refusal(path)


@pytest.mark.parametrize("kept", [0, 3, 0.5, 0.99])
def test_a_truncated_parquet_is_refused(tmp_path: Path, kept: float) -> None:
    path = write_rows(tmp_path / "rows.parquet", TUPLES)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else int(kept)])
    assert "not a complete Parquet file" in refusal(path)


def test_a_parquet_with_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"text {i**5}" for i in range(2_000)]
    pq.write_table(pa.table({"text": texts}), path, compression="snappy", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[40:4_000] = b"\xff" * 3_960
    path.write_bytes(data)
    assert "not a complete Parquet file" in refusal(path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize("content", ["", "\n", "\n\r\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert "is an empty file" in refusal(put(tmp_path / name, content))


@pytest.mark.parametrize("content", ["id,text,label", "id,text,label\n", "id,text,label\n\n"])
def test_a_header_alone_gives_columns_and_no_rows(tmp_path: Path, content: str) -> None:
    path = put(tmp_path / "a.csv", content)
    assert read_columns(path) == ["id", "text", "label"]
    assert list(read_chunks(path, COLUMNS)) == []


def test_a_parquet_without_rows_gives_columns_and_no_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert read_columns(tmp_path / "a.parquet") == ["text"]
    assert list(read_chunks(tmp_path / "a.parquet", COLUMNS)) == []


@pytest.mark.parametrize(("row", "found"), [("2,only the text", "has 2"), ("2", "has 1"), ("2,one,two,three", "has 4")])
def test_a_row_of_another_width_is_named_by_its_line(tmp_path: Path, row: str, found: str) -> None:
    message = refusal(put(tmp_path / "a.csv", f'id,text,label\n1,"two\nlines",a\n\n{row}\n3,t,a\n'))
    assert "Line 5 of" in message
    assert f"{found} fields instead of 3" in message


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_an_unclosed_quote_is_named_by_the_line_where_it_opens(tmp_path: Path, ending: str) -> None:
    rows = ['1,"fine\nhere",a', '2,"never closed,b', *(f"{i},t,a" for i in range(3, 50))]
    content = "\n".join(["id,text,label", *rows]) + "\n"
    message = refusal(put(tmp_path / f"a{ending}", content.replace(",", "\t") if ending == ".tsv" else content))
    assert "Line 4 of" in message
    assert f"not well-formed {ending[1:].upper()}" in message


def test_blank_lines_between_rows_are_skipped(tmp_path: Path) -> None:
    assert list(frame_of(put(tmp_path / "a.csv", "\nid,text,label\n\n1,t,a\n\n\n2,u,b"))["example_id"]) == ["1", "2"]
    assert list(frame_of(put(tmp_path / "a.jsonl", '\n{"text": "t"}\n  \n{"text": "u"}'))["text"]) == ["t", "u"]


def test_a_cell_of_five_megabytes_is_read(tmp_path: Path) -> None:
    long = "word " * 1_000_000
    for ending in (".csv", ".jsonl.gz"):
        frame = frame_of(write_rows(tmp_path / f"a{ending}", [("1", long, "a"), ("2", "short", "b")]))
        assert list(frame["text"].str.len()) == [5_000_000, 5]


def test_a_parquet_column_named_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "a.parquet")
    assert "has the column 'text' more than once" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": "a"', "Expecting ',' delimiter"),
        ("{'text': 'a'}", "Expecting property name"),
        ('["a"]', "found a list"),
        ("5", "found a int"),
        ("[" * 100_000, "nested too deeply"),
        ('{"id": ' + "1" * 5_000 + "}", "4,300 digits"),
    ],
)
def test_a_broken_json_line_is_named(tmp_path: Path, line: str, found: str) -> None:
    message = refusal(put(tmp_path / "a.jsonl", f'{{"text": "fine"}}\n\n{line}\n'))
    assert "Line 3 of" in message and "is not one JSON object" in message
    assert found in message


def test_nan_in_json_lines_is_a_missing_value_wherever_it_stands(tmp_path: Path) -> None:
    rows = [{"id": float("nan"), "text": "t", "label": "x"}, {"id": "2", "text": float("nan"), "label": float("nan")}]
    frame = frame_of(put(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    assert frame["example_id"].tolist() == [None, "2"] and frame["label"].tolist() == ["x", None]
    assert frame["text"].tolist() == ["t", None] and frame["problem"].tolist() == [None, "null"]
    written = frame_of(put(tmp_path / "b.jsonl", '{"text": "NaN", "label": "NaN"}\n'))
    assert written["text"].tolist() == written["label"].tolist() == ["NaN"]  # A string stays what it is.


@pytest.mark.parametrize("value", ['[["a"]]', '{"a": 1}', r'"\udc00"', "Infinity", "-Infinity"])
def test_a_json_label_that_is_neither_string_nor_number_is_refused(tmp_path: Path, value: str) -> None:
    message = refusal(put(tmp_path / "a.jsonl", f'{{"text": "t", "label": {value}}}\n'))
    assert "'label' in line 1 of" in message and "is neither a string nor a number" in message


@pytest.mark.parametrize(
    ("column", "values"),
    [("text", [1, 2]), ("text", [1.5, 2.5]), ("text", [b"a", b"b"]), ("text", [["a"], ["b"]])],
)
def test_a_parquet_column_of_another_type_is_refused(tmp_path: Path, column: str, values: list[object]) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]} | {column: values}), tmp_path / "a.parquet")
    assert f"Column {column!r} of" in refusal(tmp_path / "a.parquet")


def test_the_ending_may_be_in_capitals(tmp_path: Path) -> None:
    assert file_format(put(tmp_path / "TUPLES.CSV", "text\na\n")) == "csv"
    assert list(frame_of(put(tmp_path / "TUPLES.CSV", "text\na\n"))["text"]) == ["a"]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_did_not_change_is_read(tmp_path: Path, ending: str) -> None:
    path = write_rows(tmp_path / f"rows{ending}", TUPLES)
    with unchanged_file(path, digest_file(path)) as reading:
        assert len(pd.concat(list(read_chunks(path, COLUMNS, chunk_rows=2, reading=reading)))) == len(TUPLES)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, ending: str) -> None:
    path = write_rows(tmp_path / f"rows{ending}", TUPLES)
    before = digest_file(path)
    with pytest.raises(ContentError, match="changed while it was read"), unchanged_file(path, before) as reading:
        for number, _ in enumerate(read_chunks(path, COLUMNS, chunk_rows=2, reading=reading)):
            if number == 0:
                grown = write_rows(tmp_path / f"more{ending}", [*TUPLES, ("9", "one more", "world")])
                path.write_bytes(grown.read_bytes())


def test_a_file_that_grew_by_half_a_line_is_said_to_have_changed(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "id,text,label\n1,t,x\n")
    before = digest_file(path)
    put(path, "id,text,label\n1,t,x\n2,half a")
    with pytest.raises(ContentError, match="changed while it was read"), unchanged_file(path, before) as reading:
        list(read_chunks(path, COLUMNS, reading=reading))


def test_a_file_that_is_broken_and_did_not_change_keeps_its_own_error(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "id,text,label\n1,t\n")
    with pytest.raises(ContentError, match="fields instead of 3"), unchanged_file(path, digest_file(path)) as reading:
        list(read_chunks(path, COLUMNS, reading=reading))
