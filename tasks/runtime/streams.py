"""stdin, stdout and stderr that take whatever is written: a console that cannot show a text does not end a training."""

import os
import sys


def usable_streams() -> None:
    """Have stdout and stderr replace what they cannot show, and open what is closed on the null device.

    A closed one (`lstm-text train >&-`) is not only None in Python: the next file opened, a database perhaps, would get
    its number, and what a library prints would end up in it.
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


def child_encoding() -> str:
    """Return PYTHONIOENCODING for a child that writes to our streams or to a file: ours, and never an error."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return f"{encoding}:replace"
