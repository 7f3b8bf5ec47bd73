"""Self-contained pages, readable offline: HTML with style and plots inside, and Markdown.

The templates are in templates/. Texts from data are escaped, shortened and kept to their own text direction.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from lstm_model.data.text_columns import MARK

NOTHING = "–"
SHOWN_CHARACTERS = 280
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def render_page(template: str, **values: Any) -> str:
    """Return the filled template, ready for UTF-8. Raises jinja2.UndefinedError for a missing value."""
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
    # metric_text is the filter `metric`, and so on.
    texts = (
        metric_text, gain_text, number_text, interval_text, count_text, percent_text,
        sure_text, moment_text, shown_text, markdown_text,
    )  # fmt: skip
    environment.filters |= {text.__name__.removesuffix("_text"): text for text in texts}
    return environment


def _formatted(value: float | None, form: str) -> str:
    return NOTHING if value is None or not math.isfinite(value) else format(value, form)


def metric_text(value: float | None) -> str:
    """Return three decimals, or a dash where there is no value."""
    return _formatted(value, "z.3f").replace("-", "−")


def gain_text(value: float | None) -> str:
    """Return a difference with its sign."""
    return _formatted(value, "+z.3f").replace("-", "−")


def number_text(value: float | None) -> str:
    """Return a number that may be a count."""
    is_count = value is not None and float(value).is_integer() and abs(value) >= 2
    return count_text(value) if is_count else metric_text(value)


def interval_text(ends: Sequence[float] | None) -> str:
    """Return an interval as "LOW to HIGH"."""
    return " to ".join(metric_text(end) for end in ends) if ends and all(map(math.isfinite, ends)) else NOTHING


def count_text(value: float | None) -> str:
    return _formatted(value, ",.0f")


def percent_text(value: float | None) -> str:
    return _formatted(value, ".1%")


def sure_text(confidence: float) -> str:
    """Return a confidence level: 95 %."""
    return f"{100 * confidence:.4g}\N{NO-BREAK SPACE}%"


def moment_text(time: str) -> str:
    """Return an ISO 8601 time in UTC, to the second."""
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def shown_text(value: Any, limit: int = SHOWN_CHARACTERS) -> str:
    """Return a text for a table cell: one line, at most limit characters, with visible white space at both ends."""
    whole = str(value)
    text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", re.sub(r"\s", " ", whole[: 4 * limit]).replace(MARK, "|"))
    inner = text.lstrip(" ")
    start, end = len(text) - len(inner), len(inner) - len(inner.rstrip(" "))
    text = "␣" * min(start, 3) + " ".join(inner.split()) + "␣" * min(end, 3)
    return text if len(text) <= limit and len(whole) <= 4 * limit else text[: limit - 1] + "…"


def markdown_text(value: Any, limit: int = 80) -> str:
    """Return a value from data as one line of escaped Markdown."""
    text = shown_text(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN_SPECIAL.sub(r"\\\1", text)
