"""Several columns that together are one text, such as title and body."""

from collections.abc import Sequence
from itertools import zip_longest

import pandas as pd

from lstm_model.data.texts import text_problem

MARK = "\ue000"
"""Stands between columns: a private-use character, which is a token, a word and no letter. A text must not hold it."""
SEPARATOR = f" {MARK} "


def text_sources(names: Sequence[str]) -> dict[str, str]:
    """Return name for `read_chunks` -> name in the file of the columns that together are the text."""
    return {f"text {number}" if number > 1 else "text": name for number, name in enumerate(names, 1)}


def is_text(name: str) -> bool:
    """Return whether a name of `read_chunks` is that of a text column."""
    return name == "text" or name.startswith("text ")


def join_texts(parts: Sequence[object]) -> tuple[str | None, str | None]:
    """Return the text of one or several columns, None if there is none, and why there is none.

    Of several columns, a null one is empty; all null is no text.
    """
    problems = [text_problem(part) for part in parts]
    given = [problem for part, problem in zip(parts, problems, strict=True) if part is not None or len(parts) == 1]
    if problem := next(filter(None, given or problems), None):
        return None, problem
    if len(parts) > 1 and any(MARK in str(part) for part in parts):
        return None, "not text: holds U+E000, which stands between columns"
    return SEPARATOR.join(str(part or "") for part in parts), None


def split_text(text: str, names: Sequence[str]) -> dict[str, str]:
    """Return the columns, by name, that `join_texts` joined; a column that the text lacks is empty."""
    parts = text.split(SEPARATOR) if len(names) > 1 else [text]
    return dict(zip_longest(names, parts, fillvalue=""))


def cut_texts(texts: pd.Series, most: int) -> pd.Series:
    """Return the texts with at most so many characters, separators not counted, which all stay."""

    def cut(text: str) -> str:
        parts, left = [], most
        for part in text.split(SEPARATOR):
            parts.append(part[:left])
            left -= len(parts[-1])
        return SEPARATOR.join(parts)

    long = texts.str.len() > most
    return texts.where(~long, texts[long].map(cut)) if long.any() else texts
