"""The tokenizer."""

from typing import Literal

from pydantic import Field

from lstm_model.config.section import Count, Section


class TokenizationConfig(Section):
    """How text becomes token_ids."""

    kind: Literal["word", "bpe"] = "word"
    """word: one token per word or punctuation mark; in scripts without spaces (Chinese, Japanese, Thai ...) one per
    letter. bpe: byte-pair encoding learned on the training rows."""
    vocab_size: int = Field(20_000, ge=3)
    """Most tokens in the vocabulary, [PAD] and [UNK] included."""
    min_frequency: Count = 1
    """A token that occurs less often in the training rows is unknown."""
    max_length: Count = 256
    """Tokens kept per text; the rest is cut off."""
    lowercase: bool = True
    """Fold to lower case."""
    strip_accents: bool = False
    """Drop the accents of Latin, Greek and Cyrillic letters."""
