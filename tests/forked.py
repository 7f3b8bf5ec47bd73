"""Commands in processes that are forked from one that has imported everything: importing takes 7 s of a core.

For tests of what a command does and leaves behind. Those of its start, its streams, signals and the environment, and
those that need a command line, run it as a user does.
"""

import atexit
import multiprocessing
import os
import threading
from collections.abc import Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.imported"])


def run_forked(
    arguments: list[str], environment: Mapping[str, str], *, stdout: Path, stderr: Path, timeout: float = 600
) -> int:
    """Run tests/flows/killed.py with arguments in a process of its own; return its exit code, -9 after `kill -9`."""
    process = CONTEXT.Process(target=_run, args=(arguments, dict(environment), stdout, stderr))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{arguments} has not ended after {timeout} s")
    return process.exitcode


def _run(arguments: list[str], environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    import prefect.context

    from tests.flows.killed import main

    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(environment)
    prefect.context.refresh_global_settings_context()
    try:
        raise SystemExit(main(arguments))
    finally:  # As the interpreter ends; multiprocessing ends a process at once.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
