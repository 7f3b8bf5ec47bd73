"""How far a download is: one line that is rewritten on a terminal, otherwise a line every few seconds, on stderr."""

import sys
import time

TERMINAL_SECONDS, PLAIN_SECONDS = 0.2, 5.0
MB = 1e6


def say(line: str) -> None:
    """Print a line for the person who waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Progress:
    """Show the bytes there are of a file, the speed since the start and the time left."""

    def __init__(self, name: str, *, start: int, total: int | None) -> None:
        self.name, self.start, self.total, self.have = name, start, total, start
        self.terminal = sys.stderr.isatty()
        self.began = self.shown = time.monotonic()

    def add(self, count: int) -> None:
        """Count bytes, and show them if it is time."""
        self.have += count
        now = time.monotonic()
        if now - self.shown >= (TERMINAL_SECONDS if self.terminal else PLAIN_SECONDS):
            self.shown = now
            self._show(now)

    def _show(self, now: float) -> None:
        speed = (self.have - self.start) / max(now - self.began, 1e-3)
        parts = [f"{self.name}: {self.have / MB:.1f}"]
        if self.total:
            parts[0] += f" of {self.total / MB:.1f}"
        parts[0] += f" MB, {speed / MB:.1f} MB/s"
        if self.total and speed and self.have < self.total:
            parts.append(f"{(self.total - self.have) / speed:.0f} s left")
        line = ", ".join(parts)
        sys.stderr.write(f"\r{line:<78}" if self.terminal else f"{line}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Show the end of it, on a line that stays."""
        self._show(time.monotonic())
        if self.terminal:
            sys.stderr.write("\n")
