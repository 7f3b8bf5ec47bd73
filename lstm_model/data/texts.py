"""What counts as a text."""

import json


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
