"""Public data sets are downloaded from a server of every mood: checked, continued, retried, written whole or not."""

import errno
import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from flows.cli import main
from lstm_model.data.public.catalogue import CATALOGUE, PublicFile
from lstm_model.errors import ModelError, UsageError
from tasks.datasets import download as downloading
from tasks.datasets.download import Progress, download
from tests.tasks.test_servers import unused_port

PIECE = downloading.CHUNK_BYTES  # A cut loses what is less.
BODY = bytes(range(256)) * 1200  # 18 pieces and three quarters.
HALF = 9 * PIECE
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Answers the requests one by one with `answers`, the last of them for all later ones."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Of each request, the range it asked for, or "all"."""

    def file(self, body: bytes = BODY, *, name: str = "train.csv", megabytes: int = 1) -> PublicFile:
        return PublicFile(name, (f"{self.url}/{name}",), hashlib.sha256(body).hexdigest(), megabytes)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.headers.get("Range", "all").removeprefix("bytes="))
            here.answers[min(len(here.asked), len(here.answers)) - 1](self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that have enough."""

    with Quiet(("127.0.0.1", 0), Handler) as running:
        here = Server(f"http://127.0.0.1:{running.server_port}")
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield here
        running.shutdown()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(downloading, "TIMEOUT_SECONDS", (60, 60))


def sends(
    body: bytes = BODY, *, ranges: bool = True, cut: int | None = None, length: int | None = -1,
    kind: str = "text/csv", pause: float = 0.0, hang: float = 0.0,
) -> Answer:  # fmt: skip
    """Send the body, or what a range leaves of it; after `cut` bytes the connection ends, or hangs."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if ranges and asked else 0
        rest = body[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Type", kind)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if length is not None:
            request.send_header("Content-Length", str(len(rest) if length < 0 else length))
        request.end_headers()
        for at in range(0, len(rest[:cut]), 1 << 16):
            request.wfile.write(rest[:cut][at : at + (1 << 16)])
            time.sleep(pause)
        request.wfile.flush()
        time.sleep(hang)

    return answer


def says(status: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return answer


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(BODY)


ARRIVES: dict[str, tuple[bytes, list[Answer], list[str]]] = {
    # what is there before, the answers, what is asked for
    "at once": (b"", [sends()], ["all"]),
    "nothing is missing": (BODY, [], []),
    "slowly": (b"", [sends(pause=0.05)], ["all"]),
    "without its length": (b"", [sends(length=None)], ["all"]),
    "a part is there": (BODY[:1000], [sends()], ["1000-"]),
    "a part is there, the server knows no ranges": (BODY[:1000], [sends(ranges=False)], ["1000-"]),
    "another version's part is there": (b"x" * 1000, [sends()], ["1000-", "all"]),
    "more than all is there": (BODY + b"x", [says(416), sends()], [f"{len(BODY) + 1}-", "all"]),
    "cut": (b"", [sends(cut=HALF), sends()], ["all", f"{HALF}-"]),
    "cut three times": (
        b"", [sends(cut=HALF), sends(cut=PIECE), sends(cut=0), sends()],
        ["all", f"{HALF}-", f"{HALF + PIECE}-", f"{HALF + PIECE}-"],
    ),
    "cut, the server knows no ranges": (b"", [sends(cut=HALF), sends(ranges=False)], ["all", f"{HALF}-"]),
    "busy": (b"", [says(503), says(429), says(500), sends()], ["all"] * 4),
    "moved": (b"", [says(302, Location="/elsewhere"), sends()], ["all"] * 2),
    "moved, a part is there": (BODY[:9], [says(301, Location="/elsewhere"), sends()], ["9-"] * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRIVES)
def test_the_file_arrives(name: str, server: Server, tmp_path: Path) -> None:
    there, server.answers, asked = ARRIVES[name]
    if there:
        Path(tmp_path, "train.csv").write_bytes(there)
    path = download(server.file(), tmp_path)
    assert path.read_bytes() == BODY
    assert server.asked == asked


def test_the_file_arrives_where_the_server_falls_silent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT_SECONDS", (60, 1.5))
    server.answers = [sends(cut=HALF, hang=60), sends()]
    path = download(server.file(), tmp_path)
    assert path.read_bytes() == BODY
    assert server.asked == ["all", f"{HALF}-"]


REFUSED: dict[str, tuple[list[Answer], int, list[str], int]] = {
    # the answers, how many requests, words of the message, the bytes that stay for the next time
    "not found": ([says(404)], 1, ["train.csv answers HTTP 404. ", "in a browser, save it as "], 0),
    "not allowed": ([says(403)], 1, ["answers HTTP 403. "], 0),
    "always busy": ([says(503)], 5, ["Cannot download ", "answers HTTP 503. "], 0),
    "always cut at one place": ([sends(cut=HALF, ranges=False)], 5, ["Cannot download ", "the same command"], HALF),
    "a proxy's page": ([sends(b"<html>log in", kind="text/html; charset=utf-8")], 1, ["a web page, not the file"], 0),
    "another file": ([sends(b"a,b\n")], 1, ["is not the published file: 4 bytes with SHA-256 "], 0),
    "another version, after a cut": ([sends(b"x" * len(BODY), cut=HALF), sends(b"y" * len(BODY))], 3,
                                     ["is not the published file: 307,200 bytes"], 0),
    "a length that is too small": ([sends(length=HALF)], 1, [f"is not the published file: {HALF:,} bytes"], 0),
    "a length that is too large": ([sends(length=2 * len(BODY))], 5, ["Cannot download "], 18 * PIECE),
    "cut, and the length was not said": ([sends(length=None, cut=HALF)], 1, ["is not the published file"], 0),
    "no end": ([endless], 1, ["is not the published file"], 0),
    "moved in a circle": ([says(302, Location="/train.csv")], 31, ["Cannot download ", "30 redirects"], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_the_file_is_refused(name: str, server: Server, tmp_path: Path) -> None:
    server.answers, requests, words, stays = REFUSED[name]
    with pytest.raises(ModelError) as refusal:
        download(server.file(), tmp_path)
    assert [word for word in words if word not in str(refusal.value)] == []
    assert len(server.asked) == requests
    path = Path(tmp_path, "train.csv")
    assert (path.stat().st_size if path.exists() else 0) == stays


UNREACHABLE = {
    # the address, variables of the environment, words of the message
    "no server": ("http://127.0.0.1:{unused}/f", {}, ["Connection refused", "set HTTPS_PROXY if you need a proxy"]),
    "a certificate": ("https://127.0.0.1:{port}/f", {}, ["SSL", "set REQUESTS_CA_BUNDLE to the file"]),
    "a proxy that is not there": (
        "http://data.invalid/f", {"HTTP_PROXY": "http://me:secret@127.0.0.1:{unused}"},
        ["Connection refused", "the proxy (HTTP_PROXY)"],
    ),
    "no proxy's address": ("http://data.invalid/f", {"HTTP_PROXY": "http://"}, ["proxy", "the proxy (HTTP_PROXY)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREACHABLE)
def test_an_unreachable_server_is_named_with_what_to_set(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, variables, words = UNREACHABLE[name]
    ports = {"unused": unused_port(), "port": server.url.rpartition(":")[2]}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value.format(**ports))
    with pytest.raises(ModelError) as refusal:
        download(replace(server.file(), urls=(url.format(**ports),)), tmp_path)
    assert [word for word in words if word not in str(refusal.value)] == []
    assert "secret" not in str(refusal.value)


def test_a_proxy_of_the_environment_is_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.answers = [sends()]
    download(replace(server.file(), urls=("http://data.invalid/train.csv",)), tmp_path)
    assert server.asked == ["all"]


def test_a_mirror_is_tried_and_continues(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [sends(cut=HALF), says(403), sends()]
    file = replace(server.file(), urls=(f"{server.url}/a", f"{server.url}/b"))
    assert download(file, tmp_path).read_bytes() == BODY
    assert server.asked == ["all", f"{HALF}-", f"{HALF}-"]
    assert f"{server.url}/a answers HTTP 403. Trying {server.url}/b" in capsys.readouterr().err


def test_a_full_disk_keeps_what_there_is(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(progress: Progress, count: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    server.answers = [sends()]
    with monkeypatch.context() as full:
        full.setattr(Progress, "add", fill)
        with pytest.raises(UsageError, match=r"Cannot write .*train\.csv: No space left .* continues the download"):
            download(server.file(), tmp_path)
    assert download(server.file(), tmp_path).read_bytes() == BODY
    assert server.asked == ["all", f"{PIECE}-"]


def test_progress_without_a_terminal_is_plain_lines(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = [sends(cut=HALF), sends()]
    download(server.file(), tmp_path)
    shown = capsys.readouterr().err
    assert "train.csv: 0.1 of 0.3 MB, " in shown
    assert "continuing in 0 s" in shown
    assert "train.csv: 0.3 of 0.3 MB, " in shown.splitlines()[-1]
    assert "\r" not in shown


def test_progress_on_a_terminal_rewrites_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    monkeypatch.setattr(downloading, "TERMINAL_SECONDS", 0.0)
    progress = Progress("a.csv", start=1_000_000, total=4_000_000)
    progress.add(1_000_000)
    progress.add(2_000_000)
    progress.close()
    lines = [line.rstrip() for line in shown.getvalue().split("\r")]
    assert [line.partition(" MB, ")[0] for line in lines] == ["", "a.csv: 2.0 of 4.0", *["a.csv: 4.0 of 4.0"] * 2]
    assert (lines[1].endswith(" s left"), shown.getvalue().count("\n")) == (True, 1)


TRAIN = b"DESC:manner How does it fly ?\nLOC:city Where is it ?\n"
TEST = b"LOC:city Where was it ?\n"


@pytest.fixture
def trec(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A catalogue whose TREC is on this machine, with two questions."""
    files = (server.file(TRAIN, name="train_5500.label"), server.file(TEST, name="TREC_10.label"))
    monkeypatch.setitem(CATALOGUE, "trec", replace(CATALOGUE["trec"], files=files))
    server.answers = [sends(TRAIN, cut=9), sends(TRAIN), sends(TEST)]
    return server


def test_the_command_writes_one_file_and_says_how_to_train(
    trec: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "my data" / "trec.parquet"
    assert main(["fetch", "trec", "--output", str(output), "--json"]) == 0
    rows = pd.read_parquet(output)
    assert rows.to_dict("list") == {
        "id": ["train-1", "train-2", "test-1"],
        "text": ["How does it fly ?", "Where is it ?", "Where was it ?"],
        "label": ["DESC", "LOC", "LOC"],
        "split": ["train", "train", "test"],
    }
    assert [path.name for path in output.parent.iterdir()] == ["trec.parquet"]
    shown = capsys.readouterr().out
    words = [
        CATALOGUE["trec"].license, CATALOGUE["trec"].citation, "2 train, 1 test rows, 2 labels",
        f"lstm-text train --data.path '{output}' --data.split-column split",
    ]  # fmt: skip
    assert [word for word in words if word not in shown] == []
    assert json.loads(shown.splitlines()[-1])["rows"] == {"train": 2, "test": 1}

    assert main(["fetch", "trec", "--output", str(output)]) == 2
    assert f"{output} exists. Train on it, add --overwrite" in capsys.readouterr().err
    trec.asked.clear()
    assert main(["fetch", "trec", "--output", str(output), "--overwrite"]) == 0


def test_a_failed_fetch_leaves_the_old_output_and_continues_later(trec: Server, tmp_path: Path) -> None:
    output = tmp_path / "trec.parquet"
    output.write_bytes(b"old")
    trec.answers = [sends(TRAIN), says(404)]
    again = ["fetch", "trec", "--output", str(output), "--overwrite"]
    assert main(again) == 4
    assert output.read_bytes() == b"old"
    trec.asked.clear()
    trec.answers = [sends(TEST)]
    assert main(again) == 0
    assert (len(pd.read_parquet(output)), trec.asked) == (3, ["all"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], ["'ag-news'", "'clinc150'"]),
        (["trec", "--output", "a.csv"], ["a.csv is no name for a Parquet file"]),
        (["trec", "--output", "/proc/none/a.parquet"], ["Cannot write /proc/none/a.parquet"]),
    ],
)
def test_wrong_arguments_are_usage_errors(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", *arguments]) == 2
    shown = capsys.readouterr().err
    assert [word for word in words if word not in shown] == []


def test_without_a_name_the_data_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in CATALOGUE if f"  {name} " not in shown] == []
    assert shown.count("license: ") == len(CATALOGUE)


def test_it_needs_no_server_and_starts_none(trec: Server, tmp_path: Path) -> None:
    """In a process of its own, because only there nothing else has imported MLflow or Prefect."""
    code = f"""
import sys
from dataclasses import replace
from flows.cli import main
from lstm_model.data.public.catalogue import CATALOGUE, PublicFile
CATALOGUE["trec"] = replace(CATALOGUE["trec"], files={CATALOGUE["trec"].files!r})
assert main(["fetch", "trec", "--output", {str(tmp_path / "a.parquet")!r}]) == 0
assert not {{"mlflow", "prefect", "tensorflow", "keras"}} & set(sys.modules)
"""
    environment = {
        "LSTM_TEXT_STATE": str(tmp_path / "state"),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{unused_port()}",
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "state"]


def test_two_at_once_do_not_write_one_file(trec: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = threading.Event()

    def sends_when_the_second_is_refused(request: BaseHTTPRequestHandler) -> None:
        refused.wait(60)
        sends(TRAIN)(request)

    trec.answers = [sends_when_the_second_is_refused, sends(TEST)]
    command = ["fetch", "trec", "--output", str(tmp_path / "a.parquet")]
    codes: list[int] = []
    first = threading.Thread(target=lambda: codes.append(main(command)))
    first.start()
    while not trec.asked:
        time.sleep(0.01)
    assert main(command) == 2
    assert "Another process is fetching" in capsys.readouterr().err
    refused.set()
    first.join()
    assert (codes, len(trec.asked)) == ([0], 2)


def test_an_output_that_another_process_wrote_just_before_the_lock_stays(
    trec: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.parquet"

    class LateLock(FileLock):
        def __enter__(self) -> "LateLock":
            super().__enter__()
            output.write_bytes(b"of the other")
            return self

    monkeypatch.setattr("tasks.datasets.fetch_dataset.FileLock", LateLock)
    assert main(["fetch", "trec", "--output", str(output)]) == 2
    assert (output.read_bytes(), trec.asked) == (b"of the other", [])
