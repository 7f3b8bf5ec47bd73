"""Changes that must not change a label, and cases that must be answered right, asked of made-up models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.digests import digest_text
from lstm_model.evaluation.behaviour import ASKED_ROWS, CHANGES, asked_rows, check_cases, check_invariance

LABELS = ["calm", "loud"]


def shouting(texts: Sequence[str]) -> np.ndarray:
    """A model that hears capitals and exclamation marks."""
    loud = np.array([0.9 if text.isupper() or text.endswith("!") else 0.2 for text in texts], dtype=np.float32)
    return np.stack([1 - loud, loud], axis=1)


def answered(texts: list[str]) -> pd.DataFrame:
    probabilities = shouting(texts)
    predicted = [LABELS[place] for place in probabilities.argmax(axis=1)]
    return pd.DataFrame({"text": texts, "predicted": predicted, "score": probabilities.max(axis=1)})


def test_a_model_that_heeds_case_and_punctuation_is_caught() -> None:
    texts = ["Quiet news.", "LOUD NEWS", "More news!", "plain news"]
    found = {check["change"]: check for check in check_invariance(shouting, answered(texts), labels=LABELS)}
    assert {name: (check["rows"], check["same_label"]) for name, check in found.items()} == {
        "upper case": (3, 1),  # LOUD NEWS is upper case already.
        "lower case": (3, 2),
        "final punctuation added": (2, 2),
        "final punctuation removed": (2, 1),
        "trailing space": (4, 3),  # Behind a space, an exclamation mark is not the last character.
    }
    assert found["final punctuation removed"]["examples"] == [
        {"text": "More news!", "changed": "More news", "label": "loud", "changed_label": "calm"}
    ]


def test_at_most_five_examples_are_shown_the_surest_first() -> None:
    def unsure(texts: Sequence[str]) -> np.ndarray:
        calm = np.array([0.4 if text.isupper() else 0.5 + len(text) / 100 for text in texts], dtype=np.float32)
        return np.stack([calm, 1 - calm], axis=1)

    texts = ["a" * length for length in range(1, 9)]
    probabilities = unsure(texts)
    answers = pd.DataFrame({"text": texts, "predicted": "calm", "score": probabilities[:, 0]})
    upper = check_invariance(unsure, answers, labels=LABELS)[0]
    assert (upper["rows"], upper["same_label"]) == (8, 0)
    assert [len(row["text"]) for row in upper["examples"]] == [8, 7, 6, 5, 4]


@pytest.mark.parametrize(
    ("change", "text", "expected"),
    [
        ("final punctuation added", "No stop", "No stop."),
        ("final punctuation added", "No stop  ", "No stop."),
        ("final punctuation added", "Stop.", "Stop."),
        ("final punctuation added", 'Quoted "', 'Quoted "'),
        ("final punctuation added", "", ""),
        ("final punctuation removed", "Really?!", "Really"),
        ("final punctuation removed", "本当。", "本当"),
        ("final punctuation removed", "Stop. ", "Stop"),
        ("final punctuation removed", "...", "..."),
        ("final punctuation removed", "none ", "none "),
        ("upper case", "straße", "STRASSE"),
        ("lower case", "NATO", "nato"),
        ("trailing space", "x", "x "),
    ],
)
def test_each_change_does_what_it_says_or_nothing(change: str, text: str, expected: str) -> None:
    assert CHANGES[change](text) == expected


@given(text=st.text(max_size=30))
def test_no_change_leaves_a_text_empty_that_was_not(text: str) -> None:
    for change in CHANGES.values():
        assert not text.strip() or change(text).strip()


def test_of_many_rows_those_with_the_lowest_digests_are_asked_wherever_they_stand() -> None:
    texts = [f"text {number}" for number in range(ASKED_ROWS + 500)]
    asked = {texts[row] for row in asked_rows(texts)}
    assert len(asked) == ASKED_ROWS
    assert {texts[::-1][row] for row in asked_rows(texts[::-1])} == asked
    assert max(map(digest_text, asked)) < min(digest_text(text) for text in set(texts) - asked)


def test_no_row_to_change_is_no_fault() -> None:
    found = check_invariance(shouting, answered(["!"]), labels=LABELS)
    assert [(check["rows"], check["same_label"]) for check in found[:4]] == [(0, 0)] * 4


def test_cases_are_counted_and_the_failed_ones_listed() -> None:
    cases = pd.DataFrame({"text": ["HELP", "so it goes", "help"], "label": ["loud", "calm", "loud"]})
    found = check_cases(shouting, cases, labels=LABELS)
    assert (found["rows"], found["passed"]) == (3, 2)
    assert found["failed"] == [{"text": "help", "label": "loud", "predicted": "calm", "score": pytest.approx(0.8)}]
