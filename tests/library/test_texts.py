"""What is blank, and how several columns are one text that can be taken apart again."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.data.text_columns import MARK, SEPARATOR, cut_texts, join_texts, split_text, text_sources
from lstm_model.data.texts import BLANK

PARTS = st.lists(st.text().map(lambda text: text.replace(MARK, "")), min_size=2, max_size=4)


@pytest.mark.parametrize(
    "text",
    ["", " \t\r\n", "\xa0\u3000\u2009", "\u200b\u200c\u200d", "\ufeff", "\xad", "\u2060\u202e", "\ufe0f", "\u3164"],
)
def test_a_text_that_shows_nothing_is_blank(text: str) -> None:
    assert text.strip(BLANK) == ""


def test_all_white_space_is_blank_and_no_letter_digit_or_sign_is() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert [one for one in characters if one.isspace() and one not in BLANK] == []
    assert [one for one in BLANK if one.isalnum() and one not in "\u115f\u1160\u3164\uffa0"] == []  # Hangul fillers.


@given(parts=PARTS)
def test_joined_columns_come_apart_as_they_were(parts: list[str]) -> None:
    names = [f"column {number}" for number in range(len(parts))]
    text, problem = join_texts(parts)
    assert problem is None and text is not None
    assert split_text(text, names) == dict(zip(names, parts, strict=True))


@given(parts=PARTS, most=st.integers(1, 20))
def test_a_cut_text_has_all_its_columns_and_no_more_characters(parts: list[str], most: int) -> None:
    text, _ = join_texts(parts)
    [cut] = cut_texts(pd.Series([text], dtype=object), most)
    found = cut.split(SEPARATOR)
    assert len(found) == len(parts) and all(part.startswith(start) for part, start in zip(parts, found, strict=True))
    assert cut == text or sum(map(len, found)) <= most


@pytest.mark.parametrize(
    ("parts", "text", "problem"),
    [
        (["title", "body"], f"title{SEPARATOR}body", None),
        ([None, "body"], f"{SEPARATOR}body", None),
        (["title", None], f"title{SEPARATOR}", None),
        (["", ""], SEPARATOR, None),
        ([None, None], None, "null"),
        ([None], None, "null"),
        ([MARK], MARK, None),
        (["title", 5], None, "not text: int 5"),
        (["title", f"a{MARK}b"], None, "not text: holds U+E000, which stands between columns"),
        (["\ud800", None], None, "not text: holds half of a surrogate pair"),
    ],
)
def test_columns_are_joined_or_the_first_problem_is_named(
    parts: list[object], text: str | None, problem: str | None
) -> None:
    assert join_texts(parts) == (text, problem)


def test_one_column_is_never_taken_apart() -> None:
    assert split_text(f"a{SEPARATOR}b", ["text"]) == {"text": f"a{SEPARATOR}b"}
    assert text_sources(["body"]) == {"text": "body"}
