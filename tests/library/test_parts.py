"""A folder or a pattern of files is one table; its output is never part of it."""

import gzip
import io
import os
from pathlib import Path

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.cases import find_cases
from lstm_model.data.formats.lines import Reading
from lstm_model.data.parts import digest_input, find_parts, input_or_stdin, refuse_output_in_input
from lstm_model.data.reading import estimate_rows, file_format, read_chunks, read_columns, unchanged_file
from lstm_model.digests import digest_file
from lstm_model.errors import ContentError, UsageError

COLUMNS = {"id": "id", "text": "text", "label": "label"}


def read(path: Path, chunk_rows: int = 2, reading: Reading | None = None) -> list[tuple[str, ...]]:
    chunks = list(read_chunks(path, COLUMNS, chunk_rows=chunk_rows, reading=reading))
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    return list(pd.concat(chunks)[list(COLUMNS)].itertuples(index=False, name=None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "rows"
    path.mkdir()
    (path / "part-2.csv").write_text("id,text,label\n3,c,x\n")
    (path / "part-1.csv").write_bytes(gzip.compress(b"label;id;text;more\nx;1;a,b;\ny;2;b;\n"))
    (path / "_SUCCESS").touch()
    (path / ".part-1.csv.crc").write_bytes(b"crc\0")
    (path / "rows.cases.csv").write_text("text,label\nc,x\n")
    (path / "older").mkdir()
    (path / "part-0.csv").touch()
    return path


EXPECTED = [("1", "a,b", "x"), ("2", "b", "y"), ("3", "c", "x")]


def test_the_files_of_a_folder_are_read_in_order(folder: Path) -> None:
    (folder / "part-2.csv").write_text("id,text,label,more\n3,c,x,\n")
    for path in (folder, folder / "part-*.csv", folder / "part-[12].csv"):
        reading = Reading()
        assert read(path, reading=reading) == read(path, 100) == EXPECTED
        assert reading.account == "2 files; 5 lines: 2 headers, 3 rows; fields are separated by ';'"
        assert estimate_rows(path) == 3 and file_format(path) == "csv"


def test_files_of_different_columns_or_formats_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(
        ContentError, match=r"part-1.csv and .*part-2.csv are not .* one table: .*'more' and 'id', 'text'"
    ):
        read(folder)
    (folder / "part-2.csv").write_text('{"id": 3, "text": "c", "label": "x"}')
    with pytest.raises(ContentError, match=r"part-1.csv and .*part-2.csv are not files of one table: csv and jsonl"):
        read_columns(folder)


def test_an_error_names_the_file_and_its_line(folder: Path) -> None:
    (folder / "part-2.csv").write_text("id,text,label,more\n3,c,x,\n4\n")
    with pytest.raises(ContentError, match=r"Line 3 of .*part-2.csv has 1 fields instead of 4"):
        read(folder)


def test_files_of_json_may_have_other_keys(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "a"}\n')
    (tmp_path / "b.jsonl").write_text('{"id": 2, "text": "b", "label": "x"}\n')
    assert read_columns(tmp_path, names=["text", "label"]) == ["id", "text", "label"]
    assert read(tmp_path) == [("1", "a", None), ("2", "b", "x")]


def test_a_path_without_files_is_a_usage_error(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "folder without files"),
        (tmp_path / "*.csv", "no such file"),
        (tmp_path / "a", "no such"),
    ):
        assert find_parts(path) == []
        with pytest.raises(UsageError, match=words):
            read_columns(path)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("id,text,label\n1,t,x\n")
    (tmp_path / "a1.csv").write_text("id,text,label\n2,t,x\n")
    assert read(tmp_path / "a[1].csv") == [("1", "t", "x")]


def test_the_digest_is_of_the_contents_in_order(folder: Path, tmp_path: Path) -> None:
    parts = find_parts(folder)
    assert [part.name for part in parts] == ["part-1.csv", "part-2.csv"]
    assert digest_input(parts[0]) == digest_file(parts[0])
    before = digest_input(folder)
    assert digest_input(folder / "part-*.csv") == before
    folder.rename(tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere"
    (moved / "part-1.csv").rename(moved / "part-0.csv")
    assert digest_input(moved) == before
    (moved / "part-2.csv").rename(moved / "part--.csv")
    assert digest_input(moved) != before


def test_a_file_that_comes_while_a_folder_is_read_is_seen(folder: Path) -> None:
    with pytest.raises(ContentError, match="changed while it was read"), unchanged_file(folder, digest_input(folder)):
        (folder / "part-3.csv").write_text("id,text,label\n4,d,x\n")


def test_the_cases_of_a_folder_are_beside_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "rows.cases.csv").write_text("text,label\nc,x\n")
    for name in ("rows", "rows.csv", "rows.jsonl.gz", "rows.PARQUET", "rows.tsv.zst"):
        found = find_cases(DataConfig(path=folder.parent / name), EvaluationConfig())
        assert found == folder.parent / "rows.cases.csv"
    monkeypatch.chdir(folder)
    assert find_cases(DataConfig(path=Path()), EvaluationConfig()) == folder.parent / "rows.cases.csv"


def test_an_output_that_is_part_of_the_input_is_refused_and_nothing_touched(folder: Path) -> None:
    part, links = folder / "part-1.csv", folder.parent / "links"
    links.mkdir()
    (links / "symbolic.csv").symlink_to(part)
    os.link(part, links / "hard.csv")
    (links / "folder").symlink_to(folder)
    before = part.read_bytes()
    outputs = [part, links / "symbolic.csv", links / "hard.csv", links / "folder" / "part-1.csv"]
    for path in (part, folder, folder / "part-*.csv", links / "symbolic.csv"):
        for output in outputs:
            with pytest.raises(UsageError, match="is part of the input"):
                refuse_output_in_input(path, output)
    for output in (folder / "new.csv", links / "folder" / "new.csv", folder / ".." / "rows" / "new.csv"):
        with pytest.raises(UsageError, match="is part of the input"):
            refuse_output_in_input(folder, output)
    with pytest.raises(UsageError, match="is part of the input"):
        refuse_output_in_input(folder / "part-*.csv", folder / "part-3.csv")
    refuse_output_in_input(folder / "part-*.csv", folder / "new.csv")
    refuse_output_in_input(part, folder / "new.csv")
    refuse_output_in_input(folder, links / "new.csv")
    assert part.read_bytes() == before and not (folder / "new.csv").exists()


def test_stdin_is_read_from_a_copy_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(b"id,text,label\n1,a,x\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    with input_or_stdin(Path("-")) as path:
        assert read(path) == [("1", "a", "x")]
    assert not path.exists()
    with input_or_stdin(tmp_path) as path:
        assert path == tmp_path


def test_texts_of_stdin_are_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.commands.predict import Settings

    def texts(content: bytes) -> list[str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        return Settings.from_arguments(["-", "--top-k", "2"]).texts

    assert texts("Striker signs\r\nrates, rise\n\nlast: \u2028 é".encode()) == [
        "Striker signs", "rates, rise", "", "last: \u2028 é",
    ]  # fmt: skip
    assert texts(b"caf\xe9\n") == ["caf\udce9"]
    assert texts(b"\n") == [""] and texts(b"a\n\n") == ["a", ""]
    with pytest.raises(UsageError, match="stdin has no text"):
        texts(b"")
    monkeypatch.setattr("flows.commands.predict.MOST_CHARACTERS", 3)
    assert texts(b"a\nb") == ["a", "b"]
    with pytest.raises(UsageError, match=r"stdin has more than 3 characters\. .*lstm-text score"):
        texts(b"a\nbc")
