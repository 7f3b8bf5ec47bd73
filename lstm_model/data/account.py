"""What one reading of the rows found, for the log."""

from dataclasses import dataclass, field


@dataclass
class Reading:
    """How lines became rows; complete after the last row."""

    files: int = 0
    lines: int = 0
    headers: int = 0
    rows: int = 0
    blank: int = 0
    joined: int = 0  # Lines that continue the row of the line before, inside a quoted field.
    first_joined: int | None = None  # The line in which the first row of several lines starts.
    unanswered: int = 0  # Rows of an annotation tool that have no accepted answer, and are left out.
    notes: list[str] = field(default_factory=list)  # What was found out about the file, such as its separator.

    def note(self, text: str | None) -> None:
        """Add what was found out, once."""
        if text and text not in self.notes:
            self.notes.append(text)

    @property
    def account(self) -> str | None:
        """The counts and notes in one line; None where there is nothing to say."""
        headers = f"{self.headers or 'no'} header{'s' * (self.headers > 1)}"
        parts = [f"{self.lines:,} lines: {headers}", f"{self.rows:,} rows"] if self.lines else []
        parts += [f"{self.blank:,} blank"] if self.blank else []
        parts += [f"{self.joined:,} inside quoted fields (from line {self.first_joined})"] if self.joined else []
        parts += [f"{self.unanswered:,} without an accepted answer left out"] if self.unanswered else []
        files = [f"{self.files:,} files"] if self.files > 1 else []
        return "; ".join([*files, *filter(None, [", ".join(parts)]), *self.notes]) or None
