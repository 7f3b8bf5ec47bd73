"""What made a run: user, code, packages and machine. Recorded as its tags, compared by `reproduce`."""

import getpass
import os
import platform
import subprocess
from pathlib import Path

from tasks.runtime.source_digest import code_digest, lock_digest
from tasks.runtime.state.local_state import PROJECT


def provenance() -> dict[str, str]:
    """Return user, git commit, digests of code and lock, Python, platform and processor."""
    return {
        "user": current_user(),
        **_git(),
        "code_digest": code_digest(),
        **({"lock_digest": digest} if (digest := lock_digest()) else {}),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
    }


def current_user() -> str:
    """Return the name of the user who runs this process."""
    try:
        return os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):  # A container's user id without an entry in passwd.
        return str(os.getuid())


def _git() -> dict[str, str]:
    """Return the commit of the checkout, and whether tracked files differ from it; nothing outside a checkout."""
    describe = ["git", "-C", PROJECT, "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty"]
    try:
        commit, _, dirty = (
            subprocess.check_output(describe, stderr=subprocess.DEVNULL, text=True).strip().partition("-")
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"git_commit": commit, "git_dirty": "true" if dirty else "false"}


def _processor() -> str:
    """Return the processor's name: sums of floats depend on its instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
