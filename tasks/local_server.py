"""Prefect's embedded server outlives a process that is killed: the next one stops it.

Without PREFECT_API_URL, Prefect starts a server as a child process, and ends it when its parent ends in order. After a
`kill -9` it would stay for ever, with 250 MB. So its process id is written down beside Prefect's database.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import psutil

from tasks.local_state import state_root

COMMAND = "prefect.server.api.server:create_app"


def stop_orphaned_servers() -> None:
    """Stop the embedded servers of processes that are gone, and write down this process's own."""
    folder = state_root() / "prefect" / "embedded-servers"
    folder.mkdir(parents=True, exist_ok=True)
    for note in folder.glob("*.json"):
        server, owner = _processes(note)
        if owner is None:
            if server is not None:
                with contextlib.suppress(psutil.Error):
                    server.terminate()
            note.unlink(missing_ok=True)
    here = psutil.Process()
    for child in here.children():
        with contextlib.suppress(psutil.Error):
            if COMMAND in child.cmdline():
                note = {"server": _identity(child), "owner": _identity(here)}
                (folder / f"{os.getpid()}.json").write_text(json.dumps(note))


def _identity(process: psutil.Process) -> list[float]:
    return [process.pid, process.create_time()]  # A process id alone may be another process's by now.


def _processes(note: Path) -> tuple[psutil.Process | None, psutil.Process | None]:
    """Return server and owner, or None for each that is gone."""
    try:
        found: dict[str, Any] = json.loads(note.read_text())
        return _alive(found["server"]), _alive(found["owner"])
    except (OSError, ValueError, KeyError):  # Being written by another process at this moment.
        return None, psutil.Process()


def _alive(identity: list[float]) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(int(identity[0]))
        if process.create_time() == identity[1] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
