"""Text to token_ids: special strings are text, the vocabulary comes from the given texts alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lstm_model.config import TokenizationConfig
from lstm_model.tokenization import PAD_ID, UNK_ID, encode_texts, fit_tokenizer, length_batches, pad_batch, unknown_rate

TEXTS = ["Don't panic: the café closes [PAD] at 9", "the [UNK] café opens at 10", "naïve café"]
KINDS = pytest.mark.parametrize("kind", ["word", "bpe"])


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    token_ids, _ = encode_texts(tokenizer, [text])
    return token_ids.tolist()


@KINDS
def test_the_strings_of_special_tokens_are_ordinary_text(kind: str) -> None:
    for lowercase in (True, False):
        tokenizer = fit_tokenizer(TEXTS, TokenizationConfig(kind=kind, vocab_size=300, lowercase=lowercase))
        assert tokenizer.token_to_id("[PAD]") == PAD_ID and tokenizer.token_to_id("[UNK]") == UNK_ID
        loaded = Tokenizer.from_str(tokenizer.to_str())
        for text in ("[PAD]", "x [PAD][UNK]"):
            assert PAD_ID not in ids(tokenizer, text) and len(ids(tokenizer, text)) >= 3
            assert ids(loaded, text) == ids(tokenizer, text)


def test_case_accents_and_composition_do_not_matter() -> None:
    tokenizer = fit_tokenizer(TEXTS, TokenizationConfig())
    assert ids(tokenizer, "CAFÉ Naïve") == ids(tokenizer, "cafe\u0301 naive") != [UNK_ID, UNK_ID]
    strict = fit_tokenizer(TEXTS, TokenizationConfig(lowercase=False, strip_accents=False))
    assert ids(strict, "CAFÉ") == [UNK_ID] != ids(strict, "café")


@KINDS
@pytest.mark.parametrize("text", ["", "   ", "\u0301"])
def test_a_text_without_tokens_is_one_unknown_token(kind: str, text: str) -> None:
    tokenizer = fit_tokenizer(TEXTS, TokenizationConfig(kind=kind, vocab_size=300))
    if not (kind == "bpe" and text == "   "):  # Byte-pair encoding sees the blanks.
        assert ids(tokenizer, text) == [UNK_ID]
    assert len(ids(tokenizer, text)) >= 1


def test_long_texts_are_cut_and_unknown_words_are_unknown() -> None:
    tokenizer = fit_tokenizer(TEXTS, TokenizationConfig(max_length=7))
    assert len(ids(tokenizer, "café " * 10_000)) == 7
    assert ids(tokenizer, "zzz 😀") == [UNK_ID, UNK_ID]
    assert unknown_rate(np.array([1, 1, 5, 9], dtype=np.int32)) == 0.5


def test_the_vocabulary_depends_on_the_texts_and_not_on_their_order() -> None:
    config = TokenizationConfig(vocab_size=9)
    vocabulary = fit_tokenizer(TEXTS, config).get_vocab()
    assert len(vocabulary) == 9 and vocabulary == fit_tokenizer(TEXTS[::-1], config).get_vocab()
    assert "zebra" in fit_tokenizer([*TEXTS, "zebra"], TokenizationConfig()).get_vocab()
    assert set(fit_tokenizer(TEXTS, TokenizationConfig(min_frequency=3)).get_vocab()) == {"[PAD]", "[UNK]", "cafe"}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 200) | st.none())
def test_batches_hold_each_row_once_and_respect_their_bounds(
    lengths: list[int], batch_size: int, max_tokens: int | None
) -> None:
    array = np.array(lengths, dtype=np.int64)
    batches = list(length_batches(array, batch_size, max_tokens=max_tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) <= batch_size
        assert len(rows) == 1 or max_tokens is None or len(rows) * array[rows].max() <= max_tokens


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1, max_size=9))
def test_padding_is_on_the_right_and_keeps_the_rows(rows: list[list[int]]) -> None:
    token_ids = np.array([token for row in rows for token in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)])
    padded = pad_batch(token_ids, offsets, np.arange(len(rows))[::-1])
    width = max(map(len, rows))
    assert padded.tolist() == [row + [0] * (width - len(row)) for row in rows[::-1]]
