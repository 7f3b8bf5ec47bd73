"""Commands in processes that are forked from one that has imported everything: importing takes 7 s of a core.

For tests of what a command does and leaves behind. Those of its start, its streams, signals and the environment, and
those that need a command line, run it as a user does.
"""

import atexit
import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.imported"])


def run_forked(
    entry: str,
    arguments: list[str],
    environment: Mapping[str, str],
    *,
    stdout: Path,
    stderr: Path,
    timeout: float = 600,
) -> int:
    """Call an entry point with arguments in a process of its own; return its exit code, -9 after `kill -9`.

    entry: module:function, which reads sys.argv. The process begins in the checkout.
    """
    process = CONTEXT.Process(target=_run, args=(entry, arguments, dict(environment), stdout, stderr))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{arguments} has not ended after {timeout} s")
    return process.exitcode


def completed(entry: str, arguments: list[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Call an entry point as `run_forked` does; return its exit code and what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        code = run_forked(entry, arguments, environment, stdout=stdout, stderr=stderr)
        return subprocess.CompletedProcess(arguments, code, stdout.read_text(), stderr.read_text())


def _run(entry: str, arguments: list[str], environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    import prefect.context

    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(environment)
    prefect.context.refresh_global_settings_context()
    module, _, function = entry.partition(":")
    sys.argv = [entry, *arguments]
    try:
        raise SystemExit(getattr(importlib.import_module(module), function)())
    finally:  # As the interpreter ends; multiprocessing ends a process at once.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
