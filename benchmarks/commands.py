"""Run a command in a state folder of its own, time it and measure its memory."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

TRAIN = [str(Path(sys.executable).with_name("lstm-text")), "train", "--json"]
POLL_SECONDS = 0.1


class CommandError(Exception):
    """A command failed; the message is the end of what it wrote to stderr."""


def environment(state: Path | str) -> dict[str, str]:
    """Return an environment with this state folder and without settings of Prefect and MLflow."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    return {**kept, "LSTM_TEXT_STATE": str(state), "TF_CPP_MIN_LOG_LEVEL": "3"}


def timed(command: list[str], variables: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """Run a command; return its seconds and the JSON object on the last line of its output, if there is output."""
    try:
        seconds, _, answer = measured(command, variables)
    except CommandError as error:
        raise SystemExit(f"This command failed: {' '.join(command)}\n{error}") from None
    return seconds, answer


def measured(
    command: list[str], variables: dict[str, str], *, limit_seconds: float = 3_600
) -> tuple[float, float, dict[str, Any]]:
    """Run a command; return its seconds, its peak memory in bytes and the JSON object on the last line of its output.

    The peak is that of the whole process tree: its proportional set size, sampled about every 0.1 s, or the resident
    set of its largest process, which the kernel knows exactly, if that is more. Raises CommandError on failure.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started, peak = time.monotonic(), 0.0
        process = subprocess.Popen(command, env=variables, stdout=output, stderr=errors, start_new_session=True)
        try:
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                if time.monotonic() - started > limit_seconds:
                    raise CommandError(f"It ran past {limit_seconds:,.0f} s.")
                sampled = time.monotonic()
                peak = max(peak, _tree_memory(process.pid))
                # The kernel needs longer for large processes: measuring takes 5 % of a core at most.
                time.sleep(max(POLL_SECONDS, 20 * (time.monotonic() - sampled)))
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        seconds, process.returncode = time.monotonic() - started, os.waitstatus_to_exitcode(ended[1])
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise CommandError(errors.read()[-3_000:].strip() or f"Exit code {process.returncode}.")
        lines = output.read().strip().splitlines()
    largest = ended[2].ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
    return seconds, max(peak, largest), json.loads(lines[-1]) if lines else {}


def _tree_memory(pid: int) -> float:
    """Return the bytes of a process and its descendants; memory that they share counts once where that is known."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            facts = member.memory_full_info()
            total += getattr(facts, "pss", facts.uss)
    except psutil.Error:  # One of them just ended.
        pass
    return total
