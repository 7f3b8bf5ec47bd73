"""stdin, stdout and stderr that take any text: a console that cannot show one does not end a training."""

import errno
import os
import sys
import termios
from pathlib import Path


def usable_streams() -> None:
    """Make stdout and stderr replace what they cannot show, and open closed ones on the null device.

    A closed stream (`lstm-text train >&-`) is None in Python, and the next file opened, perhaps a database, would get
    its number: what a library prints would be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number, which is this one.
            os.set_inheritable(opened, True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def leave_closed_terminal() -> None:
    """Open the null device in place of a terminal that was closed: each write to that would be an error."""
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:  # Libraries and bars have copies of stderr.
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_RDWR), number)


def child_encoding() -> str:
    """Return PYTHONIOENCODING for a child that writes to our streams or to a file: our encoding, without errors."""
    return f"{getattr(sys.stderr, 'encoding', None) or 'utf-8'}:replace"
