"""Words in any script: what counts as one, what is folded, and what is kept because it carries meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.ngrams.pieces import split_pieces
from lstm_model.tokens.text_encoder import UNK_ID, TextEncoder
from lstm_model.tokens.tokenizer import fit_tokenizer
from lstm_model.tokens.words import ASCII_WORD, split_words, word_splitter

SCRIPTS = {
    "Chinese": ("央行降息0.5%，楼市回暖abc公司", "央 行 降 息 0 . 5 % , 楼 市 回 暖 abc 公 司"),
    "Japanese": ("がんばれスーパーカー！東京々", "が ん ば れ ス ー パ ー カ ー ! 東 京 々"),
    "half-width": ("ｶﾞｽ ２０２６年", "ガ ス 2026 年"),
    "Thai": ("น้องกินข้าว ๑๒", "น้ อ ง กิ น ข้ า ว ๑๒"),
    "Lao": ("ສະບາຍດີ", "ສ ະ ບ າ ຍ ດີ"),
    "Khmer": ("ស្រឡាញ់", "ស្ រ ឡា ញ់"),
    "Burmese": ("မြန်မာ", "မြ န် မာ"),
    "Tibetan": ("བོད་སྐད", "བོ ད ་ སྐ ད"),
    "Korean": ("한국어 문장을 읽는다", "한국어 문장을 읽는다"),
    "Korean letters": ("\u1112\u1161\u11ab", "한"),
    "Hindi": ("मूल मेल की", "मूल मेल की"),
    "Marathi": ("क्\u200dष वाऱ्\u200dयाचा", "क्\u200dष वाऱ्\u200dयाचा"),
    "Persian": ("می\u200cروم خانه", "می\u200cروم خانه"),
    "Arabic": ("كَتَبَ الكتاب؟", "كَتَبَ الكتاب ؟"),
    "Hebrew": ("שָׁלוֹם", "שָׁלוֹם"),
    "Vietnamese": ("bán bàn bạn", "bán bàn bạn"),
    "German": ("Die Bären schön", "die bären schön"),
    "Russian": ("ещё ежик йод", "ещё ежик йод"),
    "apostrophes": ("l’été d'accord 'n'", "l’été d'accord ' n '"),
    "doctor": ("👩🏽\u200d⚕️👩🏽\u200d⚕️", "👩🏽\u200d⚕ 👩🏽\u200d⚕"),
    "family": ("👨\u200d👩\u200d👧ok", "👨\u200d👩\u200d👧 ok"),
    "skin": ("👍👍🏿", "👍 👍🏿"),
    "flags": ("🇩🇪🇫🇷🇩", "🇩🇪 🇫🇷 🇩"),
    "region": ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f!",
               "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f !"),
    "keycaps": ("a1️⃣2️⃣#️⃣", "a 1⃣ 2⃣ #⃣"),
    "heart": ("❤️❤", "❤ ❤"),
    "soft hyphen": ("Sil\u00adben\ufeff", "silben"),
    "direction": ("\u200fسلام\u200e", "سلام"),
    "zero-width space": ("ab\u200bcd", "ab cd"),
    "loose joiners": ("\u200d a\u200c \u200d\u200c", "a"),
    "currency": ("5€ £3 \ue000", "5 € £ 3 \ue000"),
}  # fmt: skip


def tokens(text: str, **settings: object) -> list[str]:
    made = fit_tokenizer([text], TokenizationConfig.model_validate({"kind": "word", **settings}))
    return made.encode(text, add_special_tokens=False).tokens


def ids(made: Tokenizer, text: str) -> list[int]:
    return TextEncoder(made).encode([text])[0].tolist()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_words_of_a_script(script: str) -> None:
    text, expected = SCRIPTS[script]
    assert tokens(text) == expected.split(" ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("मूल", "मेल"),
        ("かき", "かぎ"),
        ("ハン", "パン"),
        ("bán", "bạn"),
        ("schon", "schön"),
        ("ไก", "ไก่"),
        ("все", "всё"),
    ],
)
@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_a_mark_that_decides_is_kept(kind: str, one: str, other: str) -> None:
    made = fit_tokenizer([one, other] * 9, TokenizationConfig(kind=kind))  # type: ignore[arg-type]
    assert UNK_ID not in ids(made, one) and ids(made, one) != ids(made, other)
    assert split_pieces([one])[0] != split_pieces([other])[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café Việt", "cafe viet"),
        ("Ελλάδα", "ελλαδα"),
        ("йё", "ие"),
        ("が मूल ป้า", "が मूल ป้ า"),
        ("각 שָׁ", "각 שָׁ"),
    ],
)
def test_accents_are_dropped_on_request_from_latin_greek_and_cyrillic_letters_only(text: str, expected: str) -> None:
    assert tokens(text, strip_accents=True) == expected.split(" ")


@pytest.mark.parametrize(
    "pair", [("café", "cafe\u0301"), ("が", "か\u3099"), ("각", "\u1100\u1161\u11a8"), ("ﬁ", "fi")]
)
def test_equal_texts_in_other_unicode_forms_are_the_same_tokens(pair: tuple[str, str]) -> None:
    assert tokens(pair[0]) == tokens(pair[1])


@pytest.mark.parametrize("text", ["", " \u200b", "\u200d\ufeff", "\u00ad\u200e"])
def test_a_text_of_invisible_characters_is_one_unknown_token(text: str) -> None:
    assert ids(fit_tokenizer(["a b"], TokenizationConfig()), text) == [UNK_ID]


@given(st.text(st.characters(max_codepoint=127)))
def test_both_patterns_agree_on_ascii(text: str) -> None:
    assert ASCII_WORD.findall(text) == [word for word, _ in word_splitter().pre_tokenize_str(text)]
    assert split_words(text) == ASCII_WORD.findall(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_are_parts_of_the_text_in_order_and_hold_every_letter_and_digit(text: str) -> None:
    place = 0
    for word in split_words(text):
        found = text.index(word, place)
        assert word and not any(map(str.isalnum, text[place:found]))
        place = found + len(word)
    assert not any(map(str.isalnum, text[place:]))
