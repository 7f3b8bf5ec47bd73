"""Text to token_ids: one vocabulary, from the given texts alone, the same wherever it is loaded."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.tokens import tokenizer as tokenizer_module
from lstm_model.tokens.encoded_rows import PAD_ID, length_batches, pad_batch
from lstm_model.tokens.text_encoder import UNK_ID, TextEncoder
from lstm_model.tokens.tokenizer import fit_tokenizer, hardly_read, unknown_rates

KINDS = ["word", "bpe"]
TEXTS = ["The cat sat on the mat.", "Don't the dogs bark?", "cat & dog: 3 of [PAD], 4 of [UNK]", "Élan, naïve café"]
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def config(kind: str = "word", **changes: object) -> TokenizationConfig:
    values = {"vocab_size": 500, "min_frequency": 1, "max_length": 64, "lowercase": True, "strip_accents": True}
    return TokenizationConfig.model_validate({"kind": kind, **values, **changes})


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return TextEncoder(tokenizer).encode([text])[0].tolist()


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return tokenizer.encode(text, add_special_tokens=False).tokens


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_0_and_unknown_is_1(kind: str) -> None:
    tokenizer = fit_tokenizer(TEXTS, config(kind))
    assert (tokenizer.token_to_id("[PAD]"), tokenizer.token_to_id("[UNK]")) == (PAD_ID, UNK_ID) == (0, 1)
    assert sorted(tokenizer.get_vocab().values()) == list(range(tokenizer.get_vocab_size()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_the_name_of_padding_in_a_text_is_ordinary_text(kind: str, lowercase: bool) -> None:
    tokenizer = fit_tokenizer(["[PAD] [UNK] and more [PAD]"] * 9, config(kind, lowercase=lowercase))
    for loaded in (tokenizer, Tokenizer.from_str(tokenizer.to_str())):
        ids = encode(loaded, "[PAD] and [UNK]")
        assert len(ids) >= 7
        assert not {PAD_ID, UNK_ID} & set(ids)


def test_words_are_ordered_by_frequency_and_then_alphabetically() -> None:
    tokenizer = fit_tokenizer(["b a c", "c b", "c z"], config())
    assert sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id) == ["[PAD]", "[UNK]", "c", "b", "a", "z"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop", ["don't", "stop"]),
        ("l’été", ["l’ete"]),
        ("end. Then,more!", ["end", ".", "then", ",", "more", "!"]),
        ("3.5% of x_1", ["3", ".", "5", "%", "of", "x_1"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("🦉🦉", ["🦉", "🦉"]),
        ("a\u00a0b\tc\nd", ["a", "b", "c", "d"]),
    ],
)
def test_words_and_marks_are_told_apart(text: str, expected: list[str]) -> None:
    assert tokens(fit_tokenizer([text], config()), text) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_case_accents_and_compatibility_forms_are_folded(kind: str) -> None:
    tokenizer = fit_tokenizer(["cafe file naive elan"], config(kind))
    for text in ("CAFÉ", "cafe\u0301", "ｃａｆｅ", "Café"):
        assert encode(tokenizer, text) == encode(tokenizer, "cafe")
    assert encode(tokenizer, "ﬁle") == encode(tokenizer, "file")


def test_case_and_accents_are_kept_on_request() -> None:
    tokenizer = fit_tokenizer(["Cafe cafe caf\u00e9"], config(lowercase=False, strip_accents=False))
    assert len({tuple(encode(tokenizer, text)) for text in ("Cafe", "cafe", "caf\u00e9")}) == 3
    assert encode(tokenizer, "caf\u00e9") == encode(tokenizer, "cafe\u0301") != [UNK_ID]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_cut_to_the_first_tokens(kind: str) -> None:
    long, short = (fit_tokenizer(TEXTS, config(kind, max_length=length)) for length in (64, 5))
    for text in TEXTS:
        assert encode(short, text) == encode(long, text)[:5]
    assert len(encode(long, "cat " * 100)) == 64


@pytest.mark.parametrize(("kind", "text"), [("word", ""), ("bpe", ""), ("word", "\u200b")])
def test_a_text_without_tokens_is_one_unknown_token(kind: str, text: str) -> None:
    assert encode(fit_tokenizer(TEXTS, config(kind)), text) == [UNK_ID]


def test_a_blank_text_is_one_unknown_token() -> None:
    assert encode(fit_tokenizer(TEXTS, config()), " \t\n") == [UNK_ID]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_seen_is_unknown(kind: str) -> None:
    assert UNK_ID in encode(fit_tokenizer(TEXTS, config(kind)), "日本語")


def test_texts_that_are_mostly_unknown_or_one_long_word_are_hardly_read() -> None:
    texts = ["cat new", "cat", "new", "cat new new", "supercalifragilistic", "cat supercalifragilistic"]
    made = fit_tokenizer(["cat", texts[4]], config())
    token_ids, offsets = TextEncoder(made).encode(texts)
    found = hardly_read(texts, np.diff(offsets), unknown_rates(token_ids, offsets))
    assert found.tolist() == [False, False, True, True, True, False]
    assert hardly_read([], np.zeros(0, np.int64), np.zeros(0)).tolist() == []


def test_rare_words_are_unknown() -> None:
    tokenizer = fit_tokenizer(["twice twice once"], config(min_frequency=2))
    assert encode(tokenizer, "twice once") == [2, UNK_ID]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("word", ["The cat sat."]),
        ("word", ["Кошка спит", "Η γάτα κοιμάται"]),
        ("word", ["Bài này khó", "Straße, größer"]),
        ("word", ["", "12 + 3 !?"]),
        ("word", ["the cat 猫", "a dog 犬"]),
        ("bpe", ["今天天气很好"]),
        ("bpe", ["猫が好き", "犬"]),
        ("bpe", ["我的Apple手机"]),
        ("bpe", ["แมวนอน"]),
        ("bpe", ["고양이가 잔다"]),
        ("bpe", ["बिल्ली सो रही है"]),
        ("bpe", ["القطة نائمة", "החתול"]),
    ],
)
def test_the_script_of_most_words_decides_what_a_token_is(kind: str, texts: list[str]) -> None:
    assert fit_tokenizer(texts, config("auto")).to_str() == fit_tokenizer(texts, config(kind)).to_str()
    assert fit_tokenizer(texts * 500, config("auto")).to_str() == fit_tokenizer(texts * 500, config(kind)).to_str()


def test_bpe_joins_what_stands_together_often() -> None:
    texts = ["天气"] * 10 + ["股票"] * 9
    assert {"天气", "股票"} & set(fit_tokenizer(texts, config("bpe", min_frequency=0)).get_vocab()) == {"天气"}
    assert {"天气", "股票"} <= set(fit_tokenizer(texts, config("bpe", min_frequency=9)).get_vocab())
    assert encode(fit_tokenizer(["twice once"], config(min_frequency=0)), "twice") == [3]


def test_of_many_characters_bpe_learns_from_texts_all_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_module, "BPE_CHARACTERS", 100)
    texts = ["天气"] * 100 + ["股票"] * 100  # As in a file that is sorted by label: a quarter is read.
    vocabulary = fit_tokenizer(texts, config("bpe", min_frequency=25)).get_vocab()
    assert {"天气", "股票"} & set(vocabulary) == set()
    assert {"天气", "股票"} <= set(fit_tokenizer(texts, config("bpe", min_frequency=20)).get_vocab())


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), texts=st.lists(STRINGS, max_size=6))
def test_the_order_of_texts_does_not_change_the_vocabulary(kind: str, data: st.DataObject, texts: list[str]) -> None:
    shuffled = data.draw(st.permutations(texts + TEXTS))
    size = data.draw(st.sampled_from([3, 20, 60, 500]))
    expected = fit_tokenizer(texts + TEXTS, config(kind, vocab_size=size)).to_str()
    assert fit_tokenizer(shuffled, config(kind, vocab_size=size)).to_str() == expected


@given(
    texts=st.lists(st.text(st.sampled_from("aAbΣé 1_'’.\n\t\x1c猫が👩🏽\u200d\ufe0f\u20e3\u0301\u00a0"), max_size=30))
)
def test_words_are_counted_as_in_whole_texts(texts: list[str]) -> None:
    made = fit_tokenizer(texts, TokenizationConfig(kind="word", vocab_size=1_000))
    counts = Counter(
        word for text in texts for word, _ in made.pre_tokenizer.pre_tokenize_str(made.normalizer.normalize_str(text))
    )
    words = sorted(counts, key=lambda word: (-counts[word], word))
    assert sorted(made.get_vocab(), key=made.get_vocab().__getitem__) == ["[PAD]", "[UNK]", *words]


def test_no_word_is_known_that_no_given_text_holds() -> None:
    vocabulary = set(fit_tokenizer(["red green", "green"], config()).get_vocab())
    assert vocabulary == {"[PAD]", "[UNK]", "red", "green"}


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(STRINGS, max_size=5), size=st.integers(3, 80))
def test_the_vocabulary_is_never_larger_than_asked(kind: str, texts: list[str], size: int) -> None:
    assert fit_tokenizer(texts + TEXTS, config(kind, vocab_size=size)).get_vocab_size() <= size


def test_a_full_vocabulary_is_exactly_as_large_as_asked() -> None:
    texts = [f"word{number} other{number}" for number in range(100)]
    assert fit_tokenizer(texts, config(vocab_size=50)).get_vocab_size() == 50
    assert fit_tokenizer(texts, config("bpe", vocab_size=50)).get_vocab_size() == 50


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(STRINGS, min_size=1, max_size=5))
def test_a_saved_and_loaded_tokenizer_gives_the_same_ids(kind: str, texts: list[str]) -> None:
    tokenizer = fit_tokenizer(TEXTS, config(kind))
    loaded = Tokenizer.from_str(tokenizer.to_str())
    for before, after in zip(TextEncoder(tokenizer).encode(texts), TextEncoder(loaded).encode(texts), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(STRINGS, max_size=8))
def test_encoded_rows_are_those_of_each_text_alone(kind: str, texts: list[str]) -> None:
    tokenizer = fit_tokenizer(TEXTS, config(kind, max_length=6))
    token_ids, offsets = TextEncoder(tokenizer).encode(texts)
    assert (token_ids.dtype, offsets.dtype, offsets[0], offsets[-1]) == (np.int32, np.int64, 0, len(token_ids))
    rows = [token_ids[first:last].tolist() for first, last in pairwise(offsets)]
    assert rows == [encode(tokenizer, text) for text in texts]
    assert all(1 <= len(row) <= 6 and PAD_ID not in row for row in rows)


def test_more_texts_than_one_block_keep_their_order() -> None:
    tokenizer = fit_tokenizer([f"w{number}" for number in range(400)], config())
    texts = [f"w{number % 400} w{number % 7}" for number in range(9_000)]
    token_ids, offsets = TextEncoder(tokenizer).encode(texts)
    assert offsets.tolist() == list(range(0, 18_001, 2))
    for place in (0, 4_095, 4_096, 8_999):
        assert token_ids[2 * place : 2 * place + 2].tolist() == encode(tokenizer, texts[place])


LENGTHS = st.lists(st.integers(1, 40), max_size=50).map(lambda values: np.array(values, dtype=np.int64))


@given(lengths=LENGTHS, batch_size=st.integers(1, 12), max_tokens=st.none() | st.integers(1, 120))
def test_every_row_is_in_one_batch_within_both_limits(
    lengths: np.ndarray, batch_size: int, max_tokens: int | None
) -> None:
    batches = list(length_batches(lengths, batch_size, max_tokens=max_tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    for batch in batches:
        assert max_tokens is None or len(batch) == 1 or len(batch) * lengths[batch].max() <= max_tokens


@given(lengths=LENGTHS, batch_size=st.integers(1, 12))
def test_batches_go_from_short_to_long_and_ties_keep_their_order(lengths: np.ndarray, batch_size: int) -> None:
    order = [int(row) for batch in length_batches(lengths, batch_size) for row in batch]
    assert order == sorted(range(len(lengths)), key=lambda row: (lengths[row], row))


def test_a_batch_is_padded_on_the_right_to_its_longest_row() -> None:
    token_ids, offsets = np.array([5, 9, 8, 7, 3, 4], dtype=np.int32), np.array([0, 2, 3, 6])
    assert pad_batch(token_ids, offsets, np.array([0, 2])).tolist() == [[5, 9, 0], [7, 3, 4]]
    assert pad_batch(token_ids, offsets, np.array([1])).tolist() == [[8]]


@given(rows=st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1, max_size=9), data=st.data())
def test_a_padded_row_is_the_row_and_then_zeros(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))
    token_ids = np.array([token for row in rows for token in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)])
    padded = pad_batch(token_ids, offsets, np.array(chosen))
    longest = max(len(rows[place]) for place in chosen)
    assert padded.dtype == np.int32
    assert padded.tolist() == [rows[place] + [0] * (longest - len(rows[place])) for place in chosen]


def test_each_row_has_its_own_share_of_unknown_tokens() -> None:
    tokenizer = fit_tokenizer(["red green"], config())
    rates = unknown_rates(*TextEncoder(tokenizer).encode(["red blue", "green", "", "red red red blue"]))
    assert rates.tolist() == [0.5, 0.0, 1.0, 0.25]
