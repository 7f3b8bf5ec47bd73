"""What counts as a text, and when a text is blank."""

import json

# White space, and characters that no font draws: Unicode's Default_Ignorable_Code_Point without unassigned ones.
_BLANK_RANGES = (
    "\t-\r", "\x1c- ", "\x85", "\xa0", "\xad", "\u034f", "\u061c", "\u115f-\u1160", "\u1680", "\u17b4-\u17b5",
    "\u180b-\u180f", "\u2000-\u200f", "\u2028-\u202f", "\u205f-\u206f", "\u3000", "\u3164", "\ufe00-\ufe0f", "\ufeff",
    "\uffa0", "\ufff9-\ufffb", "\U000e0001", "\U000e0020-\U000e007f", "\U000e0100-\U000e01ef",
)  # fmt: skip
BLANK = "".join(chr(code) for ends in _BLANK_RANGES for code in range(ord(ends[0]), ord(ends[-1]) + 1))
"""All characters that show nothing; `text.strip(BLANK)` is empty for a blank text."""


def text_problem(value: object) -> str | None:
    """Return why a value is no text, or None for a string that UTF-8 can encode."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return f"not text: {type(value).__name__} {json.dumps(value, default=str)[:80]}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "not text: holds half of a surrogate pair"
    return None
