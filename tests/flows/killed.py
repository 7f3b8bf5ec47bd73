"""`lstm-text` in a process that kills itself (SIGKILL) at a chosen call: python killed.py PLACE NUMBER ARGUMENTS...

PLACE: module:object.attribute, wrapped so that the NUMBER-th call is the last thing that the process does; with a
final "+", the call is made first. NUMBER 0 kills nothing.
"""

import importlib
import os
import signal
import sys
from typing import Any


def install(place: str, number: int) -> None:
    after = place.endswith("+")
    module, _, path = place.rstrip("+").partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == number and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


def be_impatient(seconds: float) -> None:
    """Wait that long, in total and between tries of a stage, for what may pass: for a test in which it does not."""
    from tasks.runtime import retries, stage_store

    retries.RETRY_FOR_SECONDS = seconds
    stage_store.RETRY_SECONDS[:] = [seconds / 10] * len(stage_store.RETRY_SECONDS)


def main() -> int:
    from tasks.runtime.state.local_state import use_local_state

    place, number, *rest = sys.argv[1:]
    use_local_state()
    if seconds := os.environ.get("TEST_PATIENCE_SECONDS"):
        be_impatient(float(seconds))
    if int(number):
        install(place, int(number))
    from flows.cli import main

    return main(rest)


if __name__ == "__main__":
    sys.exit(main())
