"""Pages that need nothing but themselves: HTML with style and plots inside, readable offline; and Markdown.

Templates lie in templates/ beside this file. What comes from data is escaped, shortened and kept to its own direction.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

NOTHING = "–"
SHOWN_CHARACTERS = 280
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def render_page(template: str, **values: Any) -> str:
    """Return the filled template, fit for UTF-8. A value that the template misses raises jinja2.UndefinedError."""
    page = _environment().get_template(template).render(**values)
    return page.encode("utf-8", "replace").decode("utf-8")  # Paths and labels may hold lone surrogates.


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure_text,
        "gain": gain_text,
        "number": number_text,
        "span": interval_text,
        "count": count_text,
        "percent": percent_text,
        "sure": sure_text,
        "moment": moment_text,
        "shown": shown_text,
        "md": markdown_text,
    }
    return environment


def _absent(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def figure_text(value: float | None) -> str:
    """Return three decimals, or a dash where there is no figure."""
    return NOTHING if value is None or _absent(value) else f"{value:z.3f}".replace("-", "−")


def gain_text(value: float | None) -> str:
    """Return a difference with its sign."""
    return NOTHING if value is None or _absent(value) else f"{value:+z.3f}".replace("-", "−")


def number_text(value: float | None) -> str:
    """Return a figure that may be a count."""
    if value is None or _absent(value):
        return NOTHING
    return count_text(value) if float(value).is_integer() and abs(value) >= 2 else figure_text(value)


def interval_text(ends: Sequence[float] | None) -> str:
    """Return an interval in words."""
    if not ends or any(_absent(end) for end in ends):
        return NOTHING
    low, high = (figure_text(end) for end in ends)
    return f"{low} to {high}"


def count_text(value: float | None) -> str:
    return NOTHING if value is None or _absent(value) else f"{value:,.0f}"


def percent_text(value: float | None) -> str:
    return NOTHING if value is None or _absent(value) else f"{value:.1%}"


def sure_text(confidence: float) -> str:
    """Return a level of confidence: 95 %."""
    return f"{100 * confidence:.4g}\N{NO-BREAK SPACE}%"


def moment_text(time: str) -> str:
    """Return an ISO 8601 time for people, in UTC, to the second."""
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def shown_text(value: Any, limit: int = SHOWN_CHARACTERS) -> str:
    """Return a text for a table cell: one line, at most limit characters, white space at its ends made visible."""
    text = "".join(
        " "
        if character.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) == "Cc"
        else character
        for character in str(value)[: 4 * limit]
    )
    inner = text.strip(" ")
    start = len(text) - len(text.lstrip(" ")) if inner else len(text)
    end = len(text) - start - len(inner)
    text = "␣" * min(start, 3) + " ".join(inner.split()) + "␣" * min(end, 3)
    return text if len(text) <= limit and len(str(value)) <= 4 * limit else text[: limit - 1] + "…"


def markdown_text(value: Any, limit: int = 80) -> str:
    """Return data as one line of Markdown that means nothing but itself."""
    text = shown_text(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN_SPECIAL.sub(r"\\\1", text)
