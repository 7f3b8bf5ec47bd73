"""JSON files of any shape as rows, and what annotation tools export."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lstm_model.data.formats.lines import Reading
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.errors import ContentError

COLUMNS = {"text": "text", "label": "label"}
ROWS = [{"text": 'a "b"\n,]}', "label": "x"}, {"text": "日本", "label": "y"}, {"text": "c", "label": 1.0}]
EXPECTED = [('a "b"\n,]}', "x"), ("日本", "y"), ("c", "1")]


def read(path: Path, columns: dict[str, str] = COLUMNS, reading: Reading | None = None) -> list[tuple[Any, ...]]:
    frame = pd.concat(list(read_chunks(path, columns, reading=reading)))
    return list(frame.drop(columns="problem").itertuples(index=False, name=None))


def put(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


SHAPES = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "lines of \\r": "\r".join(map(json.dumps, ROWS)),
    "lines with blank ones": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n",
    "array": json.dumps(ROWS),
    "array over lines": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "array with an object per line": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "objects over lines": "\n".join(json.dumps(row, indent=1) for row in ROWS),
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_json_gives_the_same_rows(tmp_path: Path, shape: str, encoding: str, name: str) -> None:
    path = put(tmp_path / name, SHAPES[shape], encoding)
    assert read_columns(path) == ["text", "label"] and read(path) == EXPECTED


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_array_is_read_block_by_block(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_model.data.formats.json_rows.BLOCK", size)
    assert read(put(tmp_path / "a.json", SHAPES["array over lines"])) == EXPECTED


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('[{"text": "a"},\n {"text": "b",}]', r"Line 2 of .* Expecting property name"),
        ('[\n{"text": "a"},\n{"text" "b"}]', r"Line 3 of .* Expecting ':' delimiter"),
        ('[\n{"text":\n"a"\n"b"}]', r"Line 4 of .* Expecting ',' delimiter"),
        ('[{"text": "a"},\n5]', r"Line 2 of .* found a int"),
        ('[{"text": "a"},\n{"text": "b"}', r"ends in line 2, before its JSON array does"),
        ('[{"text": "a"}]\n[]', r"Line 1 of .* something follows the array"),
        ("[]", "is an empty file"),
        ('[{"text": ' + "[" * 100_000, "nested too deeply"),
        ('{"text": "a"}\n{"text": "b"', r"Line 2 of .* Expecting ',' delimiter"),
    ],
)
def test_broken_json_is_named_by_its_line(tmp_path: Path, content: str, found: str) -> None:
    with pytest.raises(ContentError, match=found):
        read(put(tmp_path / "a.json", content))


@pytest.mark.parametrize("row", [1, 99, 100, 101, 10_000])
def test_a_key_may_occur_for_the_first_time_in_any_row(tmp_path: Path, row: int) -> None:
    rows = [{"text": "a"}] * (row - 1) + [{"text": "b", "label": "x"}, {"text": "c"}]
    path = put(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert read_columns(path, names=["text", "label"]) == ["text", "label"]
    assert [label for _, label in read(path)] == [None] * (row - 1) + ["x", None]
    assert read_columns(path, names=["text", "topic"])[0] == "text" and "topic" not in read_columns(path)


def test_a_path_of_keys_is_a_column(tmp_path: Path) -> None:
    rows = [{"doc": {"text": "a", "meta": {"topic": "x"}}, "a.b": "q"}, {"doc": 5}, {}]
    path = put(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    columns = {"text": "doc.text", "label": "doc.meta.topic", "id": "a.b"}
    assert set(columns.values()) <= set(read_columns(path, names=columns.values()))
    assert read(path, columns) == [("a", "x", "q"), (None, None, None), (None, None, None)]


def test_paths_of_keys_come_in_one_order_in_every_process(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", json.dumps({"meta": dict.fromkeys("zyxwv", "a")}))
    assert read_columns(path, names=[f"meta.{key}" for key in "wzvyx"]) == ["meta", *(f"meta.{key}" for key in "vwxyz")]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ('["x"]', "x"), ("[]", None), ("[null]", None), ("[3]", "3"), ("NaN", None), ("[NaN]", None), ("null", None),
        ("2.0", "2"), ("2.5", "2.5"), ("1e3", "1000"), ("-0.0", "0"), ("7", "7"), ("true", "true"), ('"2.0"', "2.0"),
        ("12345678901234567890", "12345678901234567890"),
    ],
)  # fmt: skip
def test_a_label_is_a_scalar_or_a_list_of_one(tmp_path: Path, label: str, expected: str | None) -> None:
    assert read(put(tmp_path / "a.jsonl", f'{{"text": "t", "label": {label}}}')) == [("t", expected)]


@pytest.mark.parametrize("label", ['["x", "y"]', '[[0, 3, "PER"], [4, 5, "LOC"]]', '["x", null]'])
def test_several_labels_are_refused_with_a_word_on_it(tmp_path: Path, label: str) -> None:
    path = put(tmp_path / "a.jsonl", f'{{"text": "t", "label": "x"}}\n{{"text": "t", "label": {label}}}')
    with pytest.raises(ContentError, match=r"'label' in line 2 of .* is a list of 2 items, .*no multi-label"):
        read(path)


def task(text: str, *annotations: list[str], cancelled: bool = False, **data: str) -> dict[str, Any]:
    """Return a task as Label Studio exports it; each annotation has the choices of one annotator."""
    results = [
        {"result": [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": choices}}],
         "was_cancelled": cancelled, "completed_by": 1}
        for choices in annotations
    ]  # fmt: skip
    return {"id": len(text), "data": {"text": text, **data}, "annotations": results, "predictions": []}


def test_label_studio_tasks_are_rows(tmp_path: Path) -> None:
    tasks = [
        task("one", ["x"], source="web"), task("three", ["y"], ["y"]), task("skipped", ["x"], cancelled=True), task(""),
    ]  # fmt: skip
    path, reading = put(tmp_path / "a.json", json.dumps(tasks)), Reading()
    columns = {"id": "id", **COLUMNS, "topic": "topic", "source": "source"}
    assert read_columns(path) == ["id", "text", "source", "topic", "label"]
    assert read(path, columns, reading) == [("3", "one", "x", "x", "web"), ("5", "three", "y", "y", None)]
    assert reading.account == "2 without an accepted answer left out"
    assert [text for _, text in read(path, {"id": "id", "text": "text"})] == ["one", "three", "skipped", ""]


@pytest.mark.parametrize("choices", [[["x", "y"]], [["x"], ["y"]]])
def test_label_studio_tasks_of_two_choices_are_refused(tmp_path: Path, choices: list[list[str]]) -> None:
    with pytest.raises(ContentError, match="list of 2 items"):
        read(put(tmp_path / "a.json", json.dumps([task("a", *choices)])))


def test_prodigy_rows_count_where_they_were_accepted(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "options": [{"id": "x"}, {"id": "y"}], "accept": ["x"], "answer": "accept"},
        {"text": "b", "accept": ["y"], "answer": "reject"},
        {"text": "c", "accept": [], "answer": "ignore"},
        {"text": "d", "accept": [], "answer": "accept"},
        {"text": "e", "label": "y", "answer": "accept"},
        {"text": "f", "label": "y", "answer": "reject"},
        {"text": "g", "label": "z", "answer": "yes"},  # A column of this name.
    ]
    path, reading = put(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))), Reading()
    assert read(path, reading=reading) == [("a", "x"), ("e", "y"), ("g", "z")]
    assert reading.account == "4 without an accepted answer left out"
    assert [text for (text,) in read(path, {"text": "text"})] == list("abcdefg")
    with pytest.raises(ContentError, match="list of 2 items"):
        read(put(tmp_path / "b.jsonl", '{"text": "a", "accept": ["x", "y"], "answer": "accept"}'))


def test_doccano_rows_have_lists_of_one_label(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a", "label": ["x"], "Comments": []}, {"id": 2, "text": "b", "label": []}]
    path = put(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert read(path, {"id": "id", **COLUMNS}) == [("1", "a", "x"), ("2", "b", None)]
