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
import threading
from collections.abc import Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.imported"])


def run_forked(
    entry: str, arguments: list[str], environment: Mapping[str, str], folder: Path, *, timeout: float = 600
) -> "subprocess.CompletedProcess[str]":
    """Call an entry point with arguments in a process of its own; return its exit code, and what it wrote.

    entry: module:function, which reads sys.argv. folder: where `stdout` and `stderr` of the process are kept. The
    process begins in the checkout; after `kill -9` its exit code is -9.
    """
    # Files, not pipes: Prefect's server outlives a killed process for a while and would hold a pipe open.
    stdout, stderr = folder / "stdout", folder / "stderr"
    process = CONTEXT.Process(target=_run, args=(entry, arguments, dict(environment), stdout, stderr))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{arguments} has not ended after {timeout} s")
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout.read_text(), stderr.read_text())


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
