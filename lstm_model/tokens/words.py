"""What a word is, in any script: one pattern for the tokenizer, the n-gram models and the baseline.

Scripts that put no spaces between words give one word per letter; what spaces separate is otherwise a word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain, compress

from tokenizers import Regex, pre_tokenizers

ALPHABETS = ("LATIN", "GREEK", "CYRILLIC")  # As the names of their letters begin.
# The scripts without spaces between words.
_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_LETTER_OR_MARK = rf"[\p{{M}}[\p{{L}}&&[^{_SPACELESS}]]]"
_KEYCAP = "[0-9#*]\u20e3"
_IN_WORD = rf"(?:(?!{_KEYCAP})[\p{{N}}_{_LETTER_OR_MARK}])"
_JOINERS = "[\u200c\u200d]"  # Zero-width non-joiner (Persian) and joiner (Marathi, emoji).
_PICTURE = r"\p{Extended_Pictographic}\p{Emoji_Modifier}?"
# In these patterns the first alternative that matches counts. UTS #51 of Unicode defines the emoji sequences.
_EMOJI = "|".join(
    [
        _KEYCAP,
        "[\U0001f1e6-\U0001f1ff]{2}",  # A flag.
        "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f",  # The flag of a region.
        f"{_PICTURE}(?:\u200d{_PICTURE})*",
    ]
)
_OTHER = r"[^\s\p{L}\p{N}\p{M}\p{Cf}_]"  # Any other visible character.
WORD = "|".join(
    [
        _EMOJI,
        rf"[\p{{L}}&&[{_SPACELESS}]](?:{_JOINERS}*\p{{M}})*",  # One letter with its marks.
        # Letters, digits and marks with an inner apostrophe (don't).
        f"{_IN_WORD}+(?:['’]{_LETTER_OR_MARK}+|{_JOINERS}+{_IN_WORD}+)*",
        _OTHER,
    ]
)
# WORD for ASCII alone, 5 times faster.
ASCII_WORD = re.compile(r"[A-Za-z0-9_]+(?:'[A-Za-z]+)*|[^\t\n\x0b\x0c\r A-Za-z0-9_]")
# Soft hyphen, direction marks, variation selectors and the like: they change how a word looks, not what it is.
INVISIBLE = (
    "[\u00ad\u034f\u061c\u180b-\u180f\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]+"
)


def run_splitter() -> pre_tokenizers.PreTokenizer:
    """Return the part of a byte-pair tokenizer that takes a text apart into runs of letters, and anything else.

    A run that begins a word of a script with spaces begins with the mark of Metaspace.
    """
    steps = {rf"▁(?=[{_SPACELESS}])|▁(?![\p{{L}}\p{{N}}\p{{M}}_])": "removed", f"{_EMOJI}|(?!▁){_OTHER}": "isolated"}
    splits = [pre_tokenizers.Split(Regex(pattern), behavior) for pattern, behavior in steps.items()]
    return pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), *splits])


def word_splitter() -> pre_tokenizers.PreTokenizer:
    """Return the part of a tokenizer that takes a text apart into words."""
    return pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)


_SPLITTER = word_splitter()
LOOKED_AT, CHARACTERS = 2_000, 500  # Texts whose script is looked up, evenly spaced, and how much of each.


def mostly_alphabetic(texts: Sequence[str]) -> bool:
    """Return whether at least half of the words are Latin, Greek or Cyrillic; so it is without any letter."""
    words = chain.from_iterable(split_words(text[:CHARACTERS]) for text in texts[:: max(1, len(texts) // LOOKED_AT)])
    counts = Counter(word[0] for word in words if word[0].isalpha())
    alphabetic = (unicodedata.name(letter, "").startswith(ALPHABETS) for letter in counts)
    return 2 * sum(compress(counts.values(), alphabetic)) >= counts.total()


def split_words(text: str) -> list[str]:
    """Return the words of a text in order, as they are written."""
    if text.isascii():
        return [text] if text.isalnum() else ASCII_WORD.findall(text)
    return [word for word, _ in _SPLITTER.pre_tokenize_str(text)]
