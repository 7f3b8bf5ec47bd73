"""The terminal shows a command's own lines; what libraries, C++ and child processes print is in the log file."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import logging, os, subprocess, sys
from tasks.runtime import terminal
def ours(call):
    where = terminal.OURS[1] + "planted.py"
    exec(compile(f"import logging; logging.getLogger('prefect.flow_runs').{call}", where, "exec"))
logging.getLogger("prefect").setLevel(logging.INFO)
"""
BLOCK = """
with terminal.command_terminal("train", verbose={verbose}) as path:
    ours("info('rows read')")
    ours("warning('rows set aside')")
    os.write(2, b"absl speaks\\n")
    subprocess.run([sys.executable, "-c", "import sys; print('a child speaks', file=sys.stderr)"])
    logging.getLogger("prefect.flow_runs").warning("a library warns")
    print("python speaks", file=sys.stderr)
    with terminal.running("train-model"):
        bar = terminal.bar(10, "training", "rows"); bar.update(5); bar.refresh(); bar.close()
    {end}
print("lstm-text: done", file=sys.stderr)
"""
OURS = ["rows read", "warning: rows set aside", "lstm-text: done"]
THEIRS = ["absl speaks", "a child speaks", "python speaks"]


def script(verbose: bool = False, end: str = "pass") -> str:
    return START + BLOCK.format(verbose=verbose, end=end)


def run(code: str, state: Path) -> "subprocess.CompletedProcess[str]":
    variables = {**os.environ, "LSTM_TEXT_STATE": str(state)}
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


def log(state: Path) -> str:
    (path,) = (state / "logs").iterdir()
    return path.read_text("utf-8")


def test_only_our_lines_are_in_the_terminal_and_all_others_in_the_log(tmp_path: Path) -> None:
    shown = run(script(), tmp_path)
    lines = shown.stderr.splitlines()
    assert lines[0].startswith("Log: ") and lines[1:] == OURS and shown.stdout == ""
    assert [text for text in THEIRS if text not in log(tmp_path)] == []


def test_verbose_shows_everything_and_keeps_the_log(tmp_path: Path) -> None:
    shown = run(script(verbose=True), tmp_path)
    assert [text for text in (*OURS, *THEIRS) if text not in shown.stderr] == []
    assert [text for text in THEIRS if text not in log(tmp_path)] == []


@pytest.mark.parametrize("end", ["raise SystemExit(3)", "raise KeyboardInterrupt", "raise ValueError('x')"])
def test_an_error_that_ends_the_block_is_in_the_terminal(end: str, tmp_path: Path) -> None:
    ended = run(script(end=end) if "Exit" not in end else script(end="sys.exit('the reason')"), tmp_path)
    assert ended.returncode != 0
    word = {"raise KeyboardInterrupt": "KeyboardInterrupt", "raise ValueError('x')": "ValueError: x"}
    assert word.get(end, "the reason") in ended.stderr


def test_a_terminal_gets_bars_which_are_gone_at_the_end(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    variables = {**os.environ, "LSTM_TEXT_STATE": str(tmp_path), "COLUMNS": "90"}
    with subprocess.Popen([sys.executable, "-c", script()], env=variables, stderr=slave) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # Linux: the other end is closed.
            pass
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    assert "train-model ..." in text and "training:  50%" in text and "rows/s" in text
    assert "training" not in text.split("lstm-text: done")[-1] and text.rstrip().endswith("lstm-text: done")


def test_the_oldest_logs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.runtime import terminal

    monkeypatch.setenv("LSTM_TEXT_STATE", str(tmp_path))
    (tmp_path / "logs").mkdir()
    for day in range(60):
        (tmp_path / "logs" / f"{'score' if day % 2 else 'train'}-2024{day:04}-000000-1.log").touch()
    with terminal.command_terminal("tune", verbose=False):
        pass
    left = sorted(path.name.partition("-")[2][:8] for path in (tmp_path / "logs").iterdir())
    assert len(left) == terminal.KEPT_LOGS and left[0] == "20240011"
