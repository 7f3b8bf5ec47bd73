"""What counts as a text, what is blank, and what becomes an id, a label or a slice."""

import json
import math
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple


class NoText(NamedTuple):
    """In place of a value that is no text."""

    problem: str


# White space, and characters that no font draws: Unicode's Default_Ignorable_Code_Point without unassigned ones.
_BLANK_RANGES = (
    "\t-\r", "\x1c- ", "\x85", "\xa0", "\xad", "\u034f", "\u061c", "\u115f-\u1160", "\u1680", "\u17b4-\u17b5",
    "\u180b-\u180f", "\u2000-\u200f", "\u2028-\u202f", "\u205f-\u206f", "\u3000", "\u3164", "\ufe00-\ufe0f", "\ufeff",
    "\uffa0", "\ufff9-\ufffb", "\U000e0001", "\U000e0020-\U000e007f", "\U000e0100-\U000e01ef",
)  # fmt: skip
BLANK = "\ue000" + "".join(chr(code) for ends in _BLANK_RANGES for code in range(ord(ends[0]), ord(ends[-1]) + 1))
"""All characters that show nothing; `text.strip(BLANK)` is empty for a blank text."""


def text_problem(value: object) -> str | None:
    """Return why a value is no text, or None for a string that UTF-8 can encode."""
    if value is None:
        return "null"
    if isinstance(value, NoText):
        return value.problem
    if not isinstance(value, str):
        return f"not text: {type(value).__name__} {json.dumps(value, default=str)[:80]}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "not text: holds half of a surrogate pair"
    return None


def scalar_string(value: Any) -> str | None:
    """Return a value that is no text as a string: a number as its digits (1.0 is "1"), null and NaN as None.

    A list of one item is its item, an empty one None. Raises ValueError, with what it is, for any other value.
    """
    if value is None or (isinstance(value, str) and text_problem(value) is None):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            return None
        if math.isfinite(value):
            return str(int(value)) if value == int(value) and -(1 << 53) < value < 1 << 53 else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list) and len(value) < 2 and not isinstance((*value, None)[0], list):
        return scalar_string((*value, None)[0])
    shown = json.dumps(value, default=str)[:80]
    if isinstance(value, list) and len(value) > 1:
        raise ValueError(f"a list of {len(value)} items, {shown}; a text has one label here (no multi-label)")
    raise ValueError(f"neither a string nor a number: {shown}")


def listed(names: Iterable[str], most: int = 20) -> str:
    """Return the first names in one line, for a message."""
    shown = list(islice(names, most + 1))
    return ", ".join(repr(name[:80]) for name in shown[:most]) + (", ..." if len(shown) > most else "")
