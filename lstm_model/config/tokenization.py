from typing import Literal

from pydantic import Field

from lstm_model.config.section import Count, Section


class TokenizationConfig(Section):
    """How text becomes token_ids."""

    kind: Literal["auto", "word", "bpe"] = "auto"
    """auto: word if most words of the training rows are Latin, Greek or Cyrillic, else bpe. word: one token per word
    or punctuation mark; in scripts without spaces (Chinese, Japanese, Thai ...) one per letter. bpe: byte-pair encoding
    learned on the training rows: parts of words, frequent words, in scripts without spaces runs of letters."""
    vocab_size: int = Field(20_000, ge=3)
    """Most tokens in the vocabulary, [PAD] and [UNK] included."""
    min_frequency: int = Field(0, ge=0)
    """A word that occurs less often in the training rows is unknown, two parts that stand together less often are not
    joined by bpe. 0: 1 for words, 10 for bpe."""
    max_length: Count = 256
    """Tokens kept per text; the rest is cut off."""
    lowercase: bool = True
    """Fold to lower case."""
    strip_accents: bool = False
    """Drop the accents of Latin, Greek and Cyrillic letters."""
