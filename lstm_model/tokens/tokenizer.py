"""One Hugging Face tokenizer, fitted on training texts and saved as tokenizer.json: words, or BPE."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.tokens.text_encoder import UNK_ID, Int32, Int64

PAD, UNK = "[PAD]", "[UNK]"
# Runs of letters, digits and marks, an inner apostrophe kept (don't); any other visible character alone.
WORD = r"[\p{L}\p{N}\p{M}_]+(?:['’][\p{L}\p{M}]+)*|[^\s\p{L}\p{N}\p{M}_]"


def fit_tokenizer(texts: Sequence[str], config: TokenizationConfig) -> Tokenizer:
    """Return a tokenizer whose vocabulary comes from `texts` alone; pass training texts only.

    [PAD] is 0 and [UNK] is 1, the rest is ordered by frequency, then alphabetically: equal texts, equal vocabulary.
    """
    if config.kind == "bpe":
        return _fit_bpe(texts, config)
    counts: dict[str, int] = {}
    normalizer, splitter = _normalizer(config), _word_splitter()
    for text in texts:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            counts[word] = counts.get(word, 0) + 1
    # A text may hold the very words [PAD] or [UNK]: the splitter takes them apart, so they never reach the counts.
    words = sorted((word for word in counts if counts[word] >= config.min_frequency), key=lambda w: (-counts[w], w))
    vocab = {word: token_id for token_id, word in enumerate([PAD, UNK, *words[: config.vocab_size - 2]])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNK))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    return _with_truncation(tokenizer, config)


def _fit_bpe(texts: Sequence[str], config: TokenizationConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNK, fuse_unk=True))
    tokenizer.normalizer = _normalizer(config)
    # Brackets split off, so that "[PAD]" in a text can be no token; Metaspace keeps word starts apart.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[\[\]]"), "isolated"), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    alphabet = _alphabet(texts, tokenizer, config.vocab_size - 2)
    trainer = trainers.BpeTrainer(
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=[PAD, UNK],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    # Training registers the special tokens as such, and "[PAD]" in a text would become id 0. Rebuilding from the
    # model alone leaves them ordinary entries of the vocabulary.
    rebuilt = Tokenizer(tokenizer.model)
    rebuilt.normalizer, rebuilt.pre_tokenizer, rebuilt.decoder = (
        tokenizer.normalizer,
        tokenizer.pre_tokenizer,
        tokenizer.decoder,
    )
    return _with_truncation(rebuilt, config)


def _alphabet(texts: Sequence[str], tokenizer: Tokenizer, size: int) -> list[str]:
    """Return the most frequent characters: left to itself, the trainer keeps all, however small the vocabulary."""
    counts: Counter[str] = Counter()
    for text in texts:
        pieces = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        counts.update("".join(piece for piece, _ in pieces))
    return sorted(counts, key=lambda character: (-counts[character], character))[:size]


def _normalizer(config: TokenizationConfig) -> normalizers.Normalizer:
    # NFKD, not NFKC: StripAccents removes combining marks, which NFKC would have composed away.
    steps: list[normalizers.Normalizer] = [normalizers.NFKD()]
    if config.strip_accents:
        steps.append(normalizers.StripAccents())
    if config.lowercase:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps)


def _word_splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)


def _with_truncation(tokenizer: Tokenizer, config: TokenizationConfig) -> Tokenizer:
    tokenizer.enable_truncation(max_length=config.max_length)
    return tokenizer


def unknown_rate(token_ids: Int32) -> float:
    """Return the share of tokens that are [UNK]."""
    return float(np.mean(token_ids == UNK_ID)) if token_ids.size else 0.0


def unknown_rates(token_ids: Int32, offsets: Int64) -> npt.NDArray[np.float64]:
    """Return the share of [UNK] among the tokens of each row: float64[N]; every row has a token."""
    unknown = np.concatenate([np.zeros(1, np.int64), np.cumsum(token_ids == UNK_ID)])[offsets]
    rates: npt.NDArray[np.float64] = np.diff(unknown) / np.diff(offsets)
    return rates
