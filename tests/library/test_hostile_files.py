"""Files that somebody made to break a reader: each gives the right rows or is refused, quickly, and stays as it was."""

import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from lstm_model.errors import ContentError
from tests.hostile import RIGHT, ROW, Rows, read, untouched

pytestmark = pytest.mark.usefixtures("quick")
HEAD, DEEP, JSON = b"text,label\n", 100_000, b'{"text": "a", "label": "x"%s}\n'


def csv(line: str | bytes) -> bytes:
    return HEAD + (line if isinstance(line, bytes) else line.encode())


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


READ: dict[str, tuple[str, bytes, Rows]] = {
    "UTF-32": ("a.csv", "text,label\na,x\n".encode("utf-32"), RIGHT),
    "UTF-7 is ASCII": ("a.csv", csv("+AGE-,x\n"), [("+AGE-", "x")]),
    "noncharacters": ("a.csv", csv("\uffff\ufdd0,x\n"), [("\uffff\ufdd0", "x")]),
    "a mark in the middle": ("a.csv", csv("\ufeffa,x\n"), [("\ufeffa", "x")]),
    "stray quotes": ("a.csv", csv('say "a",x"\nb,y\n'), [('say "a"', 'x"'), ("b", "y")]),
    "nested quotes": ("a.csv", csv('"a ""b ""c"""" d""",x\n'), [('a "b "c"" d"', "x")]),
    "a quote after a space": ("a.csv", csv('a, "x"\n'), [("a", ' "x"')]),
    "other quotes": ("a.csv", csv("'a',“x”\n"), [("'a'", "“x”")]),
    "an unclosed quote in TSV": ("a.tsv", b'text\tlabel\n"a\tx\nb\ty\n', [('"a', "x"), ("b", "y")]),
    "backslashes at the end": ("a.csv", csv("a\\,x\\"), [("a\\", "x\\")]),
    "mixed line ends": ("a.csv", b"text,label\r\na,x\nb,y\rc,z", [("a", "x"), ("b", "y"), ("c", "z")]),
    "CR only": ("a.csv", b"text,label\ra,x\rb,y\r", [("a", "x"), ("b", "y")]),
    "CR twice": ("a.csv", b"text,label\r\r\na,x\r\r\n", RIGHT),
    "line ends in a field": ("a.csv", csv('"a\rb\nc\r\nd",x\r\n'), [("a\rb\nc\r\nd", "x")]),
    "other line ends": ("a.csv", csv("a\v\f\x1c\x85\u2028\u2029b,x\n"), [("a\v\f\x1c\x85\u2028\u2029b", "x")]),
    "no last line end": ("a.csv", csv("a,x"), RIGHT),
    "NULs": ("a.csv", csv("a\0b,x\0\n\0,y\n"), [("a\0b", "x\0"), ("\0", "y")]),
    "NULs in gzip": ("a.csv.gz", gzip.compress(csv("a\0b,x\n")), [("a\0b", "x")]),
    "an escaped NUL": ("a.jsonl", b'{"text": "a\\u0000", "label": "x"}', [("a\0", "x")]),
    "a formula": ("a.csv", csv("=cmd|' /C calc'!A0,@x\n"), [("=cmd|' /C calc'!A0", "@x")]),
    "SQL": ("a.csv", csv("'; DROP TABLE runs; --,x\n"), [("'; DROP TABLE runs; --", "x")]),
    "HTML": ("a.csv", csv("<script>alert(1)</script>,<b>\n"), [("<script>alert(1)</script>", "<b>")]),
    "a template": ("a.csv", csv("{{7*7}} ${HOME} %s {0},x\n"), [("{{7*7}} ${HOME} %s {0}", "x")]),
    "a path": ("a.csv", csv("../../etc/passwd,/dev/zero\n"), [("../../etc/passwd", "/dev/zero")]),
    "a terminal's codes": ("a.csv", csv("\x1b[2J\x07,x\n"), [("\x1b[2J\x07", "x")]),
    "a separator line": ("a.csv", b"sep=~\ntext~label\na~x\n", RIGHT),
    "equal keys": ("a.jsonl", JSON % b', "text": "b", "label": "y"', [("b", "y")]),
    "NaN": ("a.jsonl", b'{"text": NaN, "label": NaN}', [(None, None)]),
    "4,000 digits": ("a.jsonl", b'{"text": "a", "label": %s}' % (b"7" * 4_000), [("a", "7" * 4_000)]),
    "half a surrogate pair": ("a.jsonl", b'{"text": "\\ud83d", "label": "x"}', [(None, "x")]),
    "such a key": ("a.jsonl", JSON % b', "\\ud83d": 1', RIGHT),
    "keys of Python": ("a.jsonl", JSON % b', "__class__": 1, "__proto__": {"text": "b"}', RIGHT),
    "a text that is an object": ("a.jsonl", b'{"text": {"a": [1]}, "label": true}', [(None, "true")]),
    "commas in an array": ("a.json", b'[{"text": "a", "label": "x"},,]', RIGHT),
    "annotations of another shape": (
        "a.json",
        b'[{"data": {"text": "a"}, "annotations": [null, 7, {"result": 7}, {"result": [7, {"value": 7}]}]},'
        b'{"data": {"text": "b"}, "annotations": [{"result": [{"value": {"choices": 7}}]}]}]',
        [("b", "7")],
    ),
    "zeros after gzip": ("a.csv.gz", gzip.compress(ROW) + bytes(99), RIGHT),
    "gzip three times": ("a", gzip.compress(gzip.compress(gzip.compress(ROW))), RIGHT),
}  # fmt: skip
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "half a UTF-16 character": ("a.csv", b"\xff\xfe" + utf16("text,label\na,x\n") + b"a", "is not UTF-16"),
    "half of a pair in UTF-16": ("a.csv", b"\xff\xfe" + utf16("text,label\n\ud800,x\n"), "is not UTF-16"),
    "UTF-32 without a mark": ("a.csv", "text,label\na,x\n".encode("utf-32-le"), "1 fields"),
    "UTF-32 that is cut off": ("a.csv", "text,label\na,x\n".encode("utf-32")[:-2], "is not UTF-32"),
    "beyond Unicode in UTF-32": ("a.csv", "text,label\na".encode("utf-32") + b"\xff" * 4, "is not UTF-32"),
    "UTF-16 after UTF-8": ("a.csv", ROW + utf16("b,y\n"), "Line 4"),
    "Latin-1 after UTF-8": ("a.csv", csv("café,x\n") + "café,x\n".encode("latin-1"), "0xe9 at position 4 of line 3"),
    "a surrogate in UTF-8": ("a.csv", csv(b"\xed\xa0\xbd\xed\xb8\x80,x\n"), "0xed at position 1 of line 2"),
    "an overlong slash": ("a.csv", csv(b"\xc0\xaf,x\n"), "0xc0"),
    "an overlong NUL": ("a.csv", csv(b"\xc0\x80,x\n"), "0xc0"),
    "five bytes": ("a.csv", csv(b"\xf8\x88\x80\x80\x80,x\n"), "0xf8"),
    "beyond Unicode": ("a.csv", csv(b"\xf4\x90\x80\x80,x\n"), "0xf4"),
    "half a character at the end": ("a.csv", csv(b"a,\xe2\x82"), "ends inside a character"),
    "all bytes": ("a.csv", bytes(range(256)) * 9, "is not UTF"),
    "ones": ("a.csv", b"\xff" * 5_000, "is not UTF"),
    "zeros": ("a.csv", bytes(5_000), "no header"),
    "a mark alone": ("a.csv", b"\xef\xbb\xbf", "empty file"),
    "another mark alone": ("a.csv", b"\xff\xfe", "empty file"),
    "line ends alone": ("a.csv", b"\r\n" * 999, "empty file"),
    "an unclosed quote": ("a.csv", csv('b,y\n"a,x\nc,z\n'), "Line 3"),
    "a quote alone": ("a.csv", csv('",x\n'), "Line 2"),
    "a quote at the end": ("a.csv", csv('a,x\nb,"'), "Line 3"),
    "text after a quote": ("a.csv", csv('"a"b,x\n'), "Line 2"),
    "seven quotes": ("a.csv", b'"' * 7, "Line 1"),
    "an unclosed name": ("a.csv", b'"text,label\na,x\n', "Line 1"),
    "apostrophes for quotes": ("a.csv", csv("'a,b',x\n"), "3 fields"),
    "NULs at the end": ("a.csv", ROW + bytes(99), "Line 3"),
    "a NUL in JSON": ("a.jsonl", b'{"text": "a\0"}', "control character"),
    "NULs after JSON": ("a.jsonl", JSON % b"" + bytes(9), "Line 2"),
    "infinity": ("a.jsonl", b'{"text": "a", "label": Infinity}', "'label' in line 1"),
    "1e400": ("a.jsonl", b'{"text": "a", "label": -1e400}', "'label' in line 1"),
    "5,000 digits": ("a.jsonl", b'{"text": "a", "label": %s}' % (b"7" * 5_000), "4,300 digits"),
    "a label that is half a pair": ("a.jsonl", b'{"text": "a", "label": "\\ud83d"}', "'label' in line 1"),
    "deep arrays": ("a.jsonl", b"[" * DEEP, "too deeply"),
    "deep objects": ("a.jsonl", b'{"a":' * DEEP, "too deeply"),
    "a deep value": ("a.jsonl", JSON % (b', "a": %s%s' % (b"[" * DEEP, b"]" * DEEP)), "too deeply"),
    "a deep value in an array": ("a.json", b"[%s]" % (JSON % (b', "a": %s%s' % (b"[" * DEEP, b"]" * DEEP))), "deeply"),
    "an array of arrays": ("a.json", b'[["a", "x"]]', "found a list"),
    "an array that ends early": ("a.json", b'[{"text": "a", "label": "x"},', "ends in line 1"),
    "more after an array": ("a.json", b'[{"text": "a", "label": "x"}]]', "something follows"),
    "null": ("a.jsonl", b"null", "NoneType"),
    "Python": ("a.jsonl", b"{'text': 'a'}", "double quotes"),
    "a comment": ("a.jsonl", b"// a\n" + JSON % b"", "Line 1"),
    "gzip and more": ("a.csv.gz", gzip.compress(ROW) + b"more", "not a complete gzip"),
    "gzip four times": ("a", gzip.compress(gzip.compress(gzip.compress(gzip.compress(ROW)))), "more than 3 times"),
    "an empty Parquet": ("a.parquet", b"", "not a complete Parquet"),
    "Parquet's mark alone": ("a.parquet", b"PAR1", "not a complete Parquet"),
    "an empty gzip": ("a.gz", b"", "not a complete gzip"),
    "an empty file": ("a.csv", b"", "empty file"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_a_file_is_read(tmp_path: Path, case: str) -> None:
    name, content, rows = READ[case]
    (tmp_path / name).write_bytes(content)
    with untouched(tmp_path):
        assert read(tmp_path / name) == rows


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused(tmp_path: Path, case: str) -> None:
    name, content, words = REFUSED[case]
    (tmp_path / name).write_bytes(content)
    with untouched(tmp_path), pytest.raises(ContentError) as refused:
        read(tmp_path / name)
    assert words in refused.value.message and len(str(refused.value)) < 1_000


def workbook(row: str, start: str = "") -> bytes:
    """Return a workbook of the columns text and label, whose last rows are XML."""
    book, buffer, changed = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["text", "label"])
    book.save(buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = start.encode() + content.replace(b"</sheetData>", f"{row}</sheetData>".encode())
            new.writestr(name, content)
    return changed.getvalue()


def cell(place: str, value: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


DAMAGED = "not a complete Excel workbook"
LAUGHS = "".join(f'<!ENTITY {one} "{f"&{before};" * 20}">' for before, one in zip("abcdefgh", "bcdefghi", strict=True))
SHEETS: dict[str, tuple[str, str, Rows | str]] = {
    "a formula as a text": ("", f"<row>{cell('A2', '=cmd|A0')}{cell('B2', 'x')}</row>", [("=cmd|A0", "x")]),
    "a formula": ("", f"<row><c r='A2'><f>1+1</f><v>2</v></c>{cell('B2', 'x')}</row>", [("2", "x")]),
    "a cell in the last column": ("", f"<row>{cell('A2', 'a')}{cell('B2', 'x')}{cell('XFD2', 'b')}</row>", RIGHT),
    "a far row": ("", f"<row r='999999999999'>{cell('A999999999999', 'a')}</row>", "more than 30,000,000 cells"),
    "no column": ("", f"<row>{cell('AAAAAAA2', 'a')}</row>", DAMAGED),
    "a cut tag": ("", "<row", DAMAGED),
    "entities that grow": (f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]>', cell("A2", "&i;"), DAMAGED),
    "a file on disk": ("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>", cell("A2", "&a;"), DAMAGED),
}  # fmt: skip


@pytest.mark.parametrize("case", SHEETS)
def test_a_workbook_is_read_or_refused(tmp_path: Path, case: str) -> None:
    start, row, expected = SHEETS[case]
    (tmp_path / "a.xlsx").write_bytes(workbook(row, start))
    if isinstance(expected, str):
        with pytest.raises(ContentError, match=expected):
            read(tmp_path / "a.xlsx")
    else:
        assert read(tmp_path / "a.xlsx") == expected
