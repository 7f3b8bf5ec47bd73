"""Paths and names that somebody chose to break a reader: a regular file is read, and anything else a usage error."""

import io
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from lstm_model.errors import ContentError, UsageError
from tests.hostile import RIGHT, ROW, read, untouched

pytestmark = pytest.mark.usefixtures("quick")


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, ROW)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name", ["../../a.csv", "/etc/a.csv", "C:\\a.csv", "./a.csv", "d/e/a.csv", "a\nb.csv", "a" * 9_999]
)
def test_the_name_in_an_archive_is_not_used(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(name, "__MACOSX/a.csv", "d/.hidden"))
    with untouched(tmp_path):
        assert read(tmp_path / "a.zip") == RIGHT


@pytest.mark.parametrize("names", [(), ("a.csv", "../a.csv"), ("a.csv", "A.csv"), ("d/",), (".a.csv",)])
def test_an_archive_of_another_number_of_files_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(*names))
    with pytest.raises(ContentError, match=r"a zip archive of [02] files"):
        read(tmp_path / "a.zip")


NAMES = [
    "a\nb.csv", "\"a'b\".csv", "%20%s{0}.csv", "[a]*?.csv", "--output", "-", "~", "$(touch b)", "a;b|c&.csv", " a .csv",
    "..csv", os.fsdecode(b"\xe9.csv"), "\u202evsc.a", "e\u0301.csv", "NUL", "x" * 255, "a.csv.parquet.zip",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(ROW)
    with untouched(tmp_path):
        assert read(tmp_path / name) == RIGHT


def folder_of_itself(path: Path) -> None:
    path.mkdir()
    (path / "self").symlink_to(path)


def listening(path: Path) -> None:
    os.chdir(path.parent)  # The address of a socket has at most 107 bytes.
    socket.socket(socket.AF_UNIX).bind(path.name)


PATHS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": listening,
    "a folder": Path.mkdir,
    "a folder of itself": folder_of_itself,
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "zeros without end": lambda path: path.symlink_to("/dev/zero"),
    "stdin": lambda path: path.symlink_to("/dev/stdin"),
    "the memory of a process": lambda path: path.symlink_to("/proc/self/mem"),
}


@pytest.mark.parametrize("case", PATHS)
def test_a_path_that_is_no_file_is_a_usage_error(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PATHS[case](tmp_path / "a.csv")
    with untouched(tmp_path), pytest.raises(UsageError):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("path", ["a\0b.csv", "a\0/*.csv", "a" * 256, "a/" * 5_000, "[a", "**/*.csv", "a.csv/b.csv"])
def test_a_path_that_cannot_be_is_a_usage_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"")
    with pytest.raises(UsageError):
        read(tmp_path / path)


def test_the_command_ends_at_once_with_the_code_of_the_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "bomb.csv.zst").write_bytes(pa.compress(b"text,label\n" * (1 << 20), "zstd", asbytes=True) * 99)
    with untouched(tmp_path):
        for name, code, words in [("pipe.csv", 2, "is no regular file"), ("bomb.csv.zst", 3, "unpacks to more than")]:
            command = [sys.executable, "-m", "flows.cli", "score", name, "--output", "scores.csv"]
            ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert (ended.returncode, ended.stdout) == (code, "") and words in ended.stderr
