"""What a word is, in any script: one pattern for the tokenizer, the n-gram models and the baseline.

Scripts that put no spaces between words give one word per letter; what spaces separate is otherwise a word.
"""

import re

from tokenizers import Regex, pre_tokenizers

# The scripts without spaces between words.
_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_LETTER_OR_MARK = rf"[\p{{M}}[\p{{L}}&&[^{_SPACELESS}]]]"
_KEYCAP = "[0-9#*]\u20e3"
_IN_WORD = rf"(?:(?!{_KEYCAP})[\p{{N}}_{_LETTER_OR_MARK}])"
_JOINERS = "[\u200c\u200d]"  # Zero-width non-joiner (Persian) and joiner (Marathi, emoji).
_PICTURE = r"\p{Extended_Pictographic}\p{Emoji_Modifier}?"
# The first alternative that matches counts. UAX #29 and UTS #51 of Unicode define the emoji sequences.
WORD = "|".join(
    [
        _KEYCAP,
        "[\U0001f1e6-\U0001f1ff]{2}",  # A flag.
        "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f",  # The flag of a region.
        f"{_PICTURE}(?:\u200d{_PICTURE})*",
        rf"[\p{{L}}&&[{_SPACELESS}]](?:{_JOINERS}*\p{{M}})*",  # One letter with its marks.
        # Letters, digits and marks with an inner apostrophe (don't).
        f"{_IN_WORD}+(?:['’]{_LETTER_OR_MARK}+|{_JOINERS}+{_IN_WORD}+)*",
        r"[^\s\p{L}\p{N}\p{M}\p{Cf}_]",  # Any other visible character.
    ]
)
# WORD for ASCII alone, 5 times faster.
ASCII_WORD = re.compile(r"[A-Za-z0-9_]+(?:'[A-Za-z]+)*|[^\t\n\x0b\x0c\r A-Za-z0-9_]")
# Soft hyphen, direction marks, variation selectors and the like: they change how a word looks, not what it is.
INVISIBLE = (
    "[\u00ad\u034f\u061c\u180b-\u180f\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]+"
)


def word_splitter() -> pre_tokenizers.PreTokenizer:
    """Return the part of a tokenizer that takes a text apart into words."""
    return pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)


_SPLITTER = word_splitter()


def split_words(text: str) -> list[str]:
    """Return the words of a text in order, as they are written."""
    if text.isascii():
        return [text] if text.isalnum() else ASCII_WORD.findall(text)
    return [word for word, _ in _SPLITTER.pre_tokenize_str(text)]
