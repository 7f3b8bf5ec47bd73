"""CSV and TSV with quotes that enclose fields, and with quotes that are characters: no row swallows another."""

import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.config.data import Dialect, Quoting
from lstm_model.data.formats.lines import Reading
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.errors import ContentError

COLUMNS = {"id": "id", "text": "text", "label": "label"}


def read(path: Path, quoting: Quoting = "auto", reading: Reading | None = None) -> list[tuple[str, ...]]:
    chunks = read_chunks(path, COLUMNS, dialect=Dialect(quoting=quoting), reading=reading)
    frame = pd.concat(list(chunks), ignore_index=True)
    return list(frame[[name for name in COLUMNS if name in frame]].itertuples(index=False, name=None))


def put(path: Path, *lines: str) -> Path:
    content = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def tsv(*lines: str) -> list[str]:
    return [line.replace("|", "\t") for line in lines]


FIRST_WORD = ["text|label", '"Striker signs|sport', "rates rise|money", 'boats race"|sport', 'a 5" screen|tech']
WHOLE_LINE = ["label|text", 'sport|"Striker signs', "money|rates rise", 'sport|boats race"', "tech|new screens"]
ONLY_OPENED = ["text|label", "rates rise|money", '"Striker signs|sport', "boats race|sport"]
GOES_ON = ["text|label", '"Hands up" he said|crime', "rates rise|money", "boats race|sport"]


@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
@pytest.mark.parametrize("lines", [FIRST_WORD, WHOLE_LINE, ONLY_OPENED, GOES_ON])
def test_every_line_of_a_tsv_with_stray_quotes_is_a_row(tmp_path: Path, ending: str, lines: list[str]) -> None:
    path, reading = put(tmp_path / f"a{ending}", *tsv(*lines)), Reading()
    expected = [tuple(line.split("|")) for line in lines[1:]]
    assert read(path, reading=reading) == (expected if lines[0] == "text|label" else [row[::-1] for row in expected])
    assert "quotes are ordinary characters, because they do not fit as quoting" in str(reading.account)
    assert f"{len(lines)} lines: 1 header, {len(expected)} rows" in str(reading.account)


def test_a_tsv_of_texts_without_labels_keeps_its_lines_too(tmp_path: Path) -> None:
    lines = tsv("id|text", '1|"Striker signs', "2|rates rise", '3|boats race"')
    assert [row[:2] for row in read(put(tmp_path / "a.tsv", *lines))] == [
        ("1", '"Striker signs'), ("2", "rates rise"), ("3", 'boats race"'),
    ]  # fmt: skip


def test_a_tsv_whose_every_quoted_field_is_well_formed_is_read_as_quoted(tmp_path: Path) -> None:
    lines = tsv("id|text|label", '1|"He said ""no"",', 'then left"|sport', '2|"with a\ttab"|money', "3|plain|sport")
    reading = Reading()
    assert read(put(tmp_path / "a.tsv", *lines), reading=reading) == [
        ("1", 'He said "no",\nthen left', "sport"), ("2", "with a\ttab", "money"), ("3", "plain", "sport"),
    ]  # fmt: skip
    assert str(reading.account) == "5 lines: 1 header, 3 rows, 1 inside quoted fields (from line 2); " + (
        "quotes enclose fields"
    )


def test_a_tsv_that_can_be_read_neither_way_is_refused_with_both_lines(tmp_path: Path) -> None:
    lines = tsv("text|label", '"Striker signs|sport', "rates rise|money", "no label")
    with pytest.raises(
        ContentError, match=r"Line 2 of .* is not well-formed TSV.*Without quoting, line 4 has 1 fields instead of 2"
    ):
        read(put(tmp_path / "a.tsv", *lines))


def test_a_tsv_of_one_column_with_a_field_of_several_lines_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", "text", '"Striker signs', 'boats race"', "rates rise")
    with pytest.raises(ContentError, match=r"field in line 2 of .*a.tsv swallows line 3"):
        read(path)
    assert read(path, "none") == [('"Striker signs',), ('boats race"',), ("rates rise",)]
    assert read(path, "quoted") == [("Striker signs\nboats race",), ("rates rise",)]


SWALLOWED = {
    "the label is last": (["text,label", '"Striker signs,sport', 'said "hi",money'], 2, None),
    "the label is first": (["label,text", "money,rates rise", 'sport,"Striker signs', 'money,rates fall"'], 3, 4),
    "more lines": (["text,label", '"Striker signs,sport', "rates rise,money", 'they said",money', "x,sport"], 2, 2),
    "the label is in the middle": (
        ["id,label,text", '1,sport,"Striker', "2,money,rates rise", '3,sport,race"', "4,money,x"], 2, 3
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SWALLOWED)
def test_a_quoted_field_of_a_csv_that_holds_a_row_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    lines, start, line = SWALLOWED[case]
    with pytest.raises(ContentError) as caught:
        read(put(tmp_path / "a.csv", *lines))
    found = str(caught.value)
    swallowed = "the rest of it" if line == start else f"line {line}"
    assert (f"field in line {start} of" in found and f"swallows {swallowed}, " in found) or (
        line is None and f"Line {start} of" in found
    )
    assert "--data.quoting none" in found


def test_a_csv_of_texts_with_ids_is_refused_where_an_id_is_inside_a_field(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "id,text", '1,"Striker signs', "2,rates rise", '3,boats race"', "4,x")
    with pytest.raises(ContentError, match=r"field in line 2 of .* swallows line 3, .* and the id '2'"):
        read(path)
    letter = put(
        tmp_path / "b.csv", "id,text", '1,"Dear all,', "one, two", "2, which another row has", 'bye"', "2,x", "3,y"
    )
    assert [row[0] for row in read(letter)] == ["1", "2", "3"]


def test_a_csv_of_texts_is_refused_where_a_line_inside_a_field_has_what_other_rows_have(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "text,source", '"Striker signs,web', 'boats race",print', "rates rise,web")
    with pytest.raises(ContentError, match=r"field in line 2 of .* swallows the rest of it, .* and the source 'web'"):
        list(read_chunks(path, {"text": "text"}))
    once = put(tmp_path / "b.csv", "text,source", '"Striker signs,web', 'boats race",print', "rates rise,print")
    assert [row[0] for row in read(once)] == ["Striker signs,web\nboats race", "rates rise"]


@pytest.mark.parametrize(
    "lines",
    [
        ["text,label", '"Dear all,', "apples, and pears", 'bye",sport', "rates rise,money"],
        ["label,text", 'sport,"Dear all', "apples, and pears", 'bye"', "money,rates rise"],
        ["text,label", '"a', 'b",money', "rates rise,money"],
        ["label,text", 'money,"a', "", 'b"', "money,rates rise"],
        ["text,label", '"a list:', "rates rise,MONEY", 'bye",sport', "rates rise,money"],
    ],
)
def test_a_text_of_several_lines_is_read_as_one(tmp_path: Path, lines: list[str]) -> None:
    path = put(tmp_path / "a.csv", *lines)
    assert [row[0] for row in read(path)] == list(pd.read_csv(path)["text"])


def test_quoting_may_be_forced_either_way(tmp_path: Path) -> None:
    lines = ["label,text", "money,rates rise", 'sport,"Striker signs', 'money,rates fall"']
    path = put(tmp_path / "a.csv", *lines)
    assert read(path, "quoted") == [("rates rise", "money"), ("Striker signs\nmoney,rates fall", "sport")]
    assert read(path, "none") == [("rates rise", "money"), ('"Striker signs', "sport"), ('rates fall"', "money")]
    quoted = put(tmp_path / "a.tsv", *tsv("text|label", '"rates rise"|money', '"boats"|sport'))
    assert read(quoted, "none") == [('"rates rise"', "money"), ('"boats"', "sport")]
    assert read(quoted, "quoted") == [("rates rise", "money"), ("boats", "sport")]


def test_column_names_in_quotes_are_read_whatever_the_rows_have(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", *tsv('"text"|"label"', 'a "b" c|x', '"open|y'))
    assert read_columns(path) == ["text", "label"]
    assert read(path) == [('a "b" c', "x"), ('"open', "y")]
    assert read_columns(path, dialect=Dialect(quoting="none")) == ['"text"', '"label"']


def test_blank_lines_are_accounted_for(tmp_path: Path) -> None:
    reading = Reading()
    read(put(tmp_path / "a.csv", "text,label", "", "a,x", "", "", "b,y"), reading=reading)
    assert str(reading.account) == "6 lines: 1 header, 2 rows, 3 blank"


plain = st.text(st.sampled_from('ab" ,'), max_size=8)


@given(texts=st.lists(plain.filter(str.strip), min_size=1, max_size=8), labels=st.data())
def test_no_line_of_a_tsv_without_tabs_in_texts_is_lost(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], labels: st.DataObject
) -> None:
    """As written, line by line; unless quotes enclose whole fields everywhere, which a writer with quoting makes."""
    chosen = labels.draw(st.lists(st.sampled_from(["x", "y"]), min_size=len(texts), max_size=len(texts)))
    lines = [f"{text}\t{label}" for text, label in zip(texts, chosen, strict=True)]
    path = put(tmp_path_factory.mktemp("rows") / "a.tsv", "text\tlabel", *lines)
    expected = list(zip(texts, chosen, strict=True))
    unquoted = [next(csv.reader(io.StringIO(line), delimiter="\t")) for line in lines]
    assert read(path) in (expected, [tuple(row) for row in unquoted])
