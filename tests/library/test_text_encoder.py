"""TextEncoder gives what its tokenizer gives, whatever it has seen before and however long the texts are."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import lstm_model.tokens.text_encoder
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.tokens.text_encoder import TextEncoder
from lstm_model.tokens.tokenizer import fit_tokenizer

TEXTS = ["The cat sat, on the mat.", "Don't the dogs bark at 3?", "Élan, naïve café\u00a0🎉", "a_b 'n' ’t x’y z'1"]
ALPHABET = (
    "aB1_'’.,[] \t\n\r\x0b\x0c\x1c\x1f\x85\x00\u00a0\u2003\u0301\u00a8éÅß🎉中שλΣ"
    "がｶﾞป้ริ한국\u1112\u1161क्ষြ🏽👩\u200c\u200d🇩🇪\u20e3\ufe0f\u00ad\u200b\ufeff"
)
STRINGS = st.lists(
    st.one_of(st.text(ALPHABET, max_size=25), st.text(st.characters(exclude_categories=["Cs"]), max_size=25)),
    max_size=12,
)
ODD = [
    "",
    "   ",
    "🎉🎉",
    "שלום עולם",
    "word " * 10_000,
    "qzxv",
    "nul \x00 inside",
    "\u0301",
    "\u200b\u200d\ufeff",
    "กินข้าวแล้ว 吃饭了吗 👩\u200d⚕️1️⃣",
    "a" * 5_000,
    "[PAD] [UNK]",
]


def tokenizer(kind: str = "word", **changes: object) -> Tokenizer:
    values = {"kind": kind, "vocab_size": 500, "min_frequency": 1, "max_length": 16, **changes}
    return fit_tokenizer(TEXTS, TokenizationConfig.model_validate(values))


def rows(encoder: TextEncoder, texts: list[str]) -> list[list[int]]:
    token_ids, offsets = encoder.encode(texts)
    assert token_ids.dtype == np.int32 and offsets.dtype == np.int64 and offsets[0] == 0
    return [token_ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def expected(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Each whole text by the tokenizer itself."""
    return [tokenizer.encode(text, add_special_tokens=False).ids or [1] for text in texts]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
def test_pieces_give_the_tokens_of_the_whole_text(*, lowercase: bool, strip_accents: bool) -> None:
    fitted = tokenizer(lowercase=lowercase, strip_accents=strip_accents)
    encoder = TextEncoder(fitted)  # One for all examples: what it remembers must not matter.

    @given(STRINGS)
    def same(texts: list[str]) -> None:
        assert rows(encoder, texts) == expected(fitted, texts)

    same()


def test_every_pair_of_ascii_characters_around_a_space() -> None:
    fitted = tokenizer(max_length=64)
    texts = [f"a{chr(a)}{chr(b)}b {chr(a)} {chr(b)}" for a in range(128) for b in range(128)]
    assert rows(TextEncoder(fitted), texts) == expected(fitted, texts)


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_odd_texts_among_others(kind: str) -> None:
    fitted = tokenizer(kind)
    assert rows(TextEncoder(fitted), [*TEXTS, *ODD, *TEXTS]) == expected(fitted, [*TEXTS, *ODD, *TEXTS])


@pytest.mark.parametrize(
    "text",
    [
        " " * 10_000 + "cat",  # Its first characters hold no token.
        "\n" * 10_000 + "cat sat",
        "\u0301 " * 3_000 + "cat",
        "cat " + " " * 1_000 + "dogs " * 40,
        "supercalifragilisticexpialidocious" * 20 + " cat",
        "cat sat " * 5 + "x" * 10_000,
    ],
    ids=["blank first", "newlines first", "accents first", "blank inside", "long word first", "long word last"],
)
def test_a_long_text_is_read_until_it_has_max_length_tokens(text: str) -> None:
    fitted = tokenizer()
    assert rows(TextEncoder(fitted), ["the", text, "mat"]) == expected(fitted, ["the", text, "mat"])


def test_what_it_remembers_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_model.tokens.text_encoder, "KEPT_PIECES", 50)
    monkeypatch.setattr(lstm_model.tokens.text_encoder, "CHUNK_TEXTS", 7)
    fitted = tokenizer()
    encoder = TextEncoder(fitted)
    texts = [f"cat {number} the {number % 3} {'long' * 30 if number % 5 else 'sat'} mat" for number in range(300)]
    for _ in range(2):
        assert rows(encoder, texts) == expected(fitted, texts)
        assert 40 <= len(encoder.known) <= 50
        assert not any(len(piece) > 100 for piece in encoder.known)
        assert len(encoder.starts) == len(encoder.known) + 1


def test_it_works_on_after_a_text_that_it_refuses() -> None:
    fitted = tokenizer()
    encoder = TextEncoder(fitted)
    rows(encoder, ["the cat"])
    with pytest.raises(TypeError):
        encoder.encode(["the mat", "half a pair \ud800 here"])
    assert rows(encoder, ["the mat sat", *TEXTS]) == expected(fitted, ["the mat sat", *TEXTS])


def test_threads_share_it() -> None:
    fitted = tokenizer()
    encoder = TextEncoder(fitted)
    texts = [[f"cat {number} {other} sat" for other in range(40)] for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda some: rows(encoder, some), texts))
    assert answers == [expected(fitted, some) for some in texts]


def test_no_texts() -> None:
    token_ids, offsets = TextEncoder(tokenizer()).encode([])
    assert token_ids.tolist() == [] and offsets.tolist() == [0]


def test_a_run_without_a_space_is_read_up_to_its_limit() -> None:
    fitted = tokenizer(max_length=200_000)
    assert len(rows(TextEncoder(fitted), ["中。" * 80_000])[0]) == 100_000
