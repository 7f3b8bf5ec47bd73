"""Delimited files as people and programs write them: the same rows, whatever the separator, line ends and encoding."""

from pathlib import Path

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig, Dialect
from lstm_model.data.formats.lines import Reading
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.errors import ContentError

COLUMNS = {"text": "text", "label": "label"}
ROWS = [("hello, you; there", "x"), ("bye | now", "y")]


def read(path: Path, reading: Reading | None = None, **settings: object) -> list[tuple[str, str]]:
    chunks = list(read_chunks(path, COLUMNS, dialect=Dialect.model_validate(settings), reading=reading))
    return list(pd.concat(chunks)[list(COLUMNS)].itertuples(index=False, name=None))


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, **settings: object) -> str:
    with pytest.raises(ContentError) as caught:
        read(path, **settings)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_separator_is_found_whatever_the_file_is_called(tmp_path: Path, name: str, delimiter: str) -> None:
    lines = [("text", "label"), *ROWS]
    content = "".join(f'"{text}"{delimiter}{label}\n' for text, label in lines)
    reading = Reading()
    assert read(put(tmp_path / name, content), reading) == ROWS
    usual = "," if name == "a.csv" else "\t"
    shown = "tabs" if delimiter == "\t" else repr(delimiter)
    assert (f"fields are separated by {shown}" in str(reading.account)) == (delimiter != usual)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text;label\na,b;x\nc,d;y\n", [("a,b", "x"), ("c,d", "y")]),  # Each row has one comma, the header none.
        ("a,b|text|label\n1,2|t|x\n", [("t", "x")]),  # The names decide.
        ("text,label;raw\na,x\nb,y;\n", None),  # Only one of the two is there with any separator.
        ("text|label\n| a |x\n", None),
        ("text\tlabel\n5\" screen, new\tx\n\"open\ty\n", [('5" screen, new', "x"), ('"open', "y")]),
    ],
)  # fmt: skip
def test_names_and_widths_decide_between_separators(
    tmp_path: Path, content: str, expected: list[tuple[str, str]] | None
) -> None:
    path = put(tmp_path / "a.csv", content)
    if expected is None:
        with pytest.raises((ContentError, KeyError)):
            read(path)
    else:
        assert read(path) == expected


def test_a_column_of_its_own_keeps_its_commas_where_the_ending_is_not_csv(tmp_path: Path) -> None:
    lines = "text\nhello, you\nbye; now\n"
    frame = pd.concat(list(read_chunks(put(tmp_path / "a.txt", lines), {"text": "text"})))
    assert list(frame["text"]) == ["hello, you", "bye; now"]
    assert "--data.delimiter" in refusal(put(tmp_path / "a.csv", lines))


def test_a_separator_may_be_forced(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "text:label\na,b:x\n")
    assert "has one column, 'text:label'" in refusal(path)
    assert read(path, delimiter=":") == [("a,b", "x")]
    assert DataConfig(delimiter="tab").dialect == DataConfig(delimiter=r"\t").dialect == Dialect(delimiter="\t")
    for wrong in ("", "::", '"', "\n"):
        with pytest.raises(ValueError, match="not one character"):
            Dialect(delimiter=wrong)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_end_as_on_any_system(tmp_path: Path, end: str, last: bool) -> None:
    content = end.join(["text,label", "a,x", '"b', 'c",y']) + end * last
    assert read(put(tmp_path / "a.csv", content)) == [("a", "x"), (f"b{end}c", "y")]


def test_line_ends_may_be_mixed(tmp_path: Path) -> None:
    reading = Reading()
    path = put(tmp_path / "a.csv", "text,label\r\na,x\rb,y\n\r\nc,z")
    assert read(path, reading) == [("a", "x"), ("b", "y"), ("c", "z")]
    assert reading.account == "5 lines: 1 header, 3 rows, 1 blank"
    assert "Line 4 of" in refusal(put(tmp_path / "b.csv", "text,label\r\na,x\rb,y\nc\n"))


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=;\r\n"])
def test_the_separator_line_of_excel_is_no_row(tmp_path: Path, line: str) -> None:
    path = put(tmp_path / "a.csv", f"{line}\r\ntext;label\r\na,b;x\r\n")
    assert read_columns(path) == ["text", "label"] and read(path) == [("a,b", "x")]
    assert read_columns(put(tmp_path / "c.csv", "sep=a\n1\n")) == ["sep=a"]
    assert f"Line {3 + line.count(chr(10))} of" in refusal(put(tmp_path / "b.csv", f"{line}\r\ntext;label\r\na\r\n"))


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("words", ["plain words", "これは日本語", "café"])
def test_unicode_encodings_are_found_with_and_without_a_mark(tmp_path: Path, encoding: str, words: str) -> None:
    content = f'text,label\n"{words},\n{words}",x\n{words},y\n'.encode(encoding)
    assert read(put(tmp_path / "a.csv", content)) == [(f"{words},\n{words}", "x"), (words, "y")]
    assert read(put(tmp_path / "b.csv", content), encoding=encoding) == [(f"{words},\n{words}", "x"), (words, "y")]


def test_utf16_without_a_mark_is_found_where_few_characters_are_ascii(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "本文,ラベル\nこれは,甲\n".encode("utf-16-le"))
    assert read_columns(path) == ["本文", "ラベル"]


@pytest.mark.parametrize(("encoding", "word"), [("windows-1252", "café"), ("shift_jis", "日本語"), ("koi8-r", "мир")])
def test_other_encodings_are_refused_by_line_and_read_where_they_are_named(
    tmp_path: Path, encoding: str, word: str
) -> None:
    path = put(tmp_path / "a.csv", f"text,label\nfine,x\n{word},y\n".encode(encoding))
    message = refusal(path)
    assert "is not UTF-8: byte 0x" in message and "of line 3" in message
    assert "--data.encoding" in message and "windows-1252" in message
    assert read(path, encoding=encoding) == [("fine", "x"), (word, "y")]


def test_an_unknown_encoding_is_a_wrong_setting() -> None:
    for wrong in ("no-such", "base64", "rot13", "\0"):
        with pytest.raises(ValueError, match="no text encoding"):
            Dialect(encoding=wrong)


TRAILING = {
    "header and rows": "text,label,,\na,x,,\nb,y,,\n",
    "rows": "text,label\na,x,\nb,y,\n",
    "rows, several": "text,label\na,x,,\nb,y,,\n",
    "header": "text,label,\na,x\nb,y\n",
    "other columns without a name": "text,,label,\na,1,x,2\nb,,y,\n",
    "other columns with one name": "n,text,n,label\n1,a,2,x\n1,b,2,y\n",
}


@pytest.mark.parametrize("case", TRAILING)
def test_separators_at_the_end_and_columns_nobody_uses_are_no_fault(tmp_path: Path, case: str) -> None:
    assert read(put(tmp_path / "a.csv", TRAILING[case])) == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("text,label\na,x,\nb,y\n", "Line 3 of .* has 2 fields instead of 3"),
        ("text,label\na,x,\nb,y,z\n", "Line 3 of .* has 3 fields instead of 2"),
        ("text,label\na,x\nb,y,\n", "Line 3 of .* has 3 fields instead of 2"),
        ("text,label,\na,x\nb,y,\n", "Line 3 of .* has 3 fields instead of 2"),
        ("text,label,label\na,x,y\n", "has the column 'label' more than once"),
    ],
)
def test_rows_that_differ_are_a_fault(tmp_path: Path, content: str, found: str) -> None:
    with pytest.raises(ContentError, match=found):
        read(put(tmp_path / "a.csv", content))


BACKSLASHES = [
    ('text,label\n"he said \\"yes\\", twice",x\nplain,y\n', 'he said "yes", twice'),
    ('text,label\n"ends with \\"",x\nplain,y\n', 'ends with "'),
    ('text,label\n"in C:\\temp, \\"here\\"",x\nplain,y\n', 'in C:\\temp, "here"'),
    ('text,label\n"two \\\\, one \\"",x\nplain,y\n', 'two \\, one "'),
    ('text;label\n"he said \\"yes\\"; twice";x\nplain;y\n', 'he said "yes"; twice'),
    ('text,label\n"of \\"two\\"\nlines, a",x\nplain,y\n', 'of "two"\nlines, a'),
]


@pytest.mark.parametrize(("content", "text"), BACKSLASHES)
def test_quotes_with_a_backslash_are_read_where_the_file_is_well_formed_only_so(
    tmp_path: Path, content: str, text: str
) -> None:
    reading, path = Reading(), put(tmp_path / "a.csv", content)
    assert read(path, reading) == [(text, "x"), ("plain", "y")]
    assert 'with \\" for a quote inside' in str(reading.account)
    assert read(path, quoting="backslash") == [(text, "x"), ("plain", "y")]


def test_backslashes_stay_where_quotes_are_doubled(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'text,label\n"a ""b"", C:\\d\\",x\n\\n,y\n')
    assert read(path) == [('a "b", C:\\d\\', "x"), ("\\n", "y")]


NO_HEADER = {
    "a sentence": "I did not get my order,late\nthe lamp is broken,damaged\n",
    "a label that comes again": "great movie,pos\nbad movie,neg\nfine,pos\n",
    "a number": "good,1\nbad,0\n",
    "quoted": '"I did not get, again, my order","late"\n"b","damaged"\n',
    "tabs": "good stuff\tpos\nbad stuff\tneg\nwell\tpos\n",
}


@pytest.mark.parametrize("case", NO_HEADER)
def test_a_file_without_a_header_is_told_so_and_read_with_names(tmp_path: Path, case: str) -> None:
    path = put(tmp_path / "a.csv", NO_HEADER[case])
    with pytest.raises(ContentError, match=r"no header\? .* --data.header text,label"):
        read_columns(path, names=["text", "label"])
    reading = Reading()
    rows = read(path, reading, header=["text", "label"])
    assert len(rows) == NO_HEADER[case].count("\n") and " no header, " in str(reading.account)
    assert read_columns(path, dialect=Dialect(header=("text", "label"))) == ["text", "label"]
    assert "fields instead of 3" in refusal(path, header=["text", "label", "id"])


def test_a_header_of_other_names_is_no_missing_header(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "v1,v2\nspam,a\nham,b\n")
    assert read_columns(path, names=["text", "label"]) == ["v1", "v2"]
