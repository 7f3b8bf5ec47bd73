"""Texts that somebody wrote to break a model: each row is answered in its place, alone or among others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.classifier.answers import AnswerOptions
from lstm_model.classifier.classifier import Classifier
from lstm_model.classifier.scores import score_rows, scores_schema
from lstm_model.data.texts import text_problem
from tests.models import write_classifier

MADE_BY = {"model_name": "m", "model_version": "1", "run_id": "r"}
TEXTS = {
    "nothing": "",
    "white space": " \t\r\n\v\f\x1c\x85\u00a0\u2003\u2028\u3000",
    "no width": "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f",
    "NULs": "\0" * 999,
    "controls": "".join(map(chr, range(32))) + "\x7f\x9b",
    "noncharacters": "\ufffe\uffff\ufdd0\U0010ffff",
    "private use": "\ue000\uf8ff\U000f0000",
    "marks without a letter": "\u0301" * 5_000,
    "a letter with many marks": "a" + "\u0316\u0301" * 5_000,
    "joined emoji": "👩\u200d" * 5_000,
    "half flags": "🇩" * 4_999,
    "tags": "🏴" + "\U000e0061" * 5_000,
    "other direction": "\u202eabc\u2066\u2069",
    "all scripts": "".join(map(chr, range(0x20, 0xD800, 7))),
    "a word without end": "a" * 1_000_000,
    "many words": "purr " * 200_000,
    "many signs": "!" * 300_000,
    "letters without spaces": "\u4e2d" * 100_000,
    "half-width": "ｶﾞ" * 9_999,
    "one character that unfolds": "\ufdfa" * 9_999,
    "special tokens": "[UNK] [PAD] <s> </s> <unk> <|endoftext|> ##a ▁",
    "a template": "{{7*7}} ${HOME} %s %n {0}",
    "a formula": "=cmd|' /C calc'!A0",
    "HTML": "<script>alert(1)</script>",
    "SQL": "'; DROP TABLE runs; --",
    "JSON": '{"text": ["a"]}' + "[" * 9_999,
    "a pattern": "(a+)+$" + "a" * 9_999 + "!",
    "digits": "7" * 100_000,
}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier.load(write_classifier(tmp_path_factory.mktemp("model") / "classifier"))


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_answered_and_changes_no_other_answer(classifier: Classifier, name: str) -> None:
    beside = ["the cat came", TEXTS[name], "woof"]
    together = classifier.predict_probabilities(beside)
    assert np.isfinite(together).all() and together.sum(axis=1) == pytest.approx(1)
    for row, text in enumerate(beside):
        assert classifier.predict_probabilities([text])[0] == pytest.approx(together[row], abs=1e-6)


class FirstCharacter:
    """Answers with the code of the first character, so that a row in another row's place shows."""

    labels = ("cat", "dog")

    def predict_probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        first = np.array([expected(text) for text in texts], dtype=np.float32)
        return np.stack([first, 1 - first], axis=1)


def expected(text: str) -> float:
    return float(np.float32(ord((text or " ")[0]) / (1 << 21)))


@given(
    rows=st.lists(st.tuples(st.none() | st.text(max_size=9), st.none() | st.text(max_size=5).filter(str.isprintable))),
    has_ids=st.booleans(),
    threshold=st.floats(0, 1),
)
def test_rows_keep_their_order_count_and_ids(
    rows: list[tuple[str | None, str | None]], has_ids: bool, threshold: float
) -> None:
    problems = [text_problem(text) for text, _ in rows]
    texts = [None if problem else text for (text, _), problem in zip(rows, problems, strict=True)]
    columns = {"text": texts, "problem": problems} | ({"id": [one for _, one in rows]} if has_ids else {})
    chunk = pd.DataFrame(columns, dtype=object)
    options = AnswerOptions(threshold=threshold, abstain_label="none")
    table = score_rows(chunk, FirstCharacter(), first_row=5, made_by=MADE_BY, options=options)  # type: ignore[arg-type]
    assert table.schema == scores_schema(FirstCharacter.labels) and table.num_rows == len(rows)
    assert table["id"].to_pylist() == (
        [one for _, one in rows] if has_ids else [str(5 + row) for row in range(len(rows))]
    )
    assert table["reason"].to_pylist() == problems
    for text, label, share in zip(texts, table["label"].to_pylist(), table["probability_cat"].to_pylist(), strict=True):
        assert share == (None if text is None else expected(text))
        assert label in ([None] if text is None else ["cat", "dog", "none"])
