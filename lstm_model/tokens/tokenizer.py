"""One Hugging Face tokenizer, words or BPE, fitted on training texts and saved as tokenizer.json."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers.models import Model
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from lstm_model.arrays import Bool, Float64, Int, Int32, Int64
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.tokens.text_encoder import CHUNK_TEXTS, UNK_ID, split_spaces, starts_of
from lstm_model.tokens.words import INVISIBLE, mostly_alphabetic, run_splitter, word_splitter

PAD, UNK = "[PAD]", "[UNK]"
LONG_CHARACTERS = 20  # Longer than a word.
MOST_HARDLY_READ = 0.5  # Share of texts above which run, report and decision warn.
ACCENTS = r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}])\p{M}+"  # Elsewhere a mark is a vowel, a tone or voicing.
LEAST_PAIRS = 10  # Of a pair that BPE joins: the vector of what stands in fewer places would hardly be trained.
BPE_CHARACTERS = 5_000_000  # Of the texts that BPE learns from; without spaces a million takes 2 s and 0.1 GB.


def fit_tokenizer(texts: Sequence[str], config: TokenizationConfig) -> Tokenizer:
    """Return a tokenizer whose vocabulary comes from `texts` alone; pass training texts only.

    [PAD] is 0 and [UNK] is 1, the rest is ordered by frequency, then alphabetically: equal texts, equal vocabulary.
    """
    words = config.kind == "word" or (config.kind == "auto" and mostly_alphabetic(texts))
    normalizer = _normalizer(config)
    # "[PAD]" and "[UNK]" in a text are no tokens: both splitters split off the brackets.
    splitter = word_splitter() if words else run_splitter()
    tokenizer = Tokenizer((_fit_words if words else _fit_bpe)(texts, config, normalizer, splitter))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    if not words:
        tokenizer.decoder = decoders.Metaspace()
    tokenizer.enable_truncation(max_length=config.max_length)
    return tokenizer


def _fit_words(
    texts: Sequence[str], config: TokenizationConfig, normalizer: Normalizer, splitter: PreTokenizer
) -> Model:
    counts, spaced = Counter[str](), Counter[str]()
    for first in range(0, len(texts), CHUNK_TEXTS):
        spaced.update(split_spaces(texts[first : first + CHUNK_TEXTS]))
    for part, count in spaced.items():  # Split once, however often it occurs.
        for word in _pieces([part], normalizer, splitter):
            counts[word] += count
    least = config.min_frequency or 1
    words = sorted((word for word in counts if counts[word] >= least), key=lambda word: (-counts[word], word))
    vocab = {word: token_id for token_id, word in enumerate([PAD, UNK, *words[: config.vocab_size - 2]])}
    return models.WordLevel(vocab, unk_token=UNK)


def _fit_bpe(texts: Sequence[str], config: TokenizationConfig, normalizer: Normalizer, splitter: PreTokenizer) -> Model:
    texts = texts[:: 1 + sum(map(len, texts)) // BPE_CHARACTERS]  # Evenly spaced: rows may be sorted by label.
    # The most frequent characters only: the trainer alone would keep all, even with a small vocabulary.
    counts = Counter(chain.from_iterable(_pieces(texts, normalizer, splitter)))
    alphabet = sorted(counts, key=lambda character: (-counts[character], character))[: config.vocab_size - 2]
    trainer = trainers.BpeTrainer(
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency or LEAST_PAIRS,
        special_tokens=[PAD, UNK],
        show_progress=False,
    )
    # Training registers the special tokens, and "[PAD]" in a text would become id 0. In another tokenizer with the same
    # model they are ordinary entries of the vocabulary.
    tokenizer = Tokenizer(models.BPE(unk_token=UNK, fuse_unk=True))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    model: Model = tokenizer.model
    return model


def _pieces(texts: Sequence[str], normalizer: Normalizer, splitter: PreTokenizer) -> Iterator[str]:
    for text in texts:
        for piece, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            yield piece


def _normalizer(config: TokenizationConfig) -> Normalizer:
    # NFKD sets marks apart from letters, NFC puts the ones that stay back.
    steps = [normalizers.NFKD(), normalizers.Replace(Regex(INVISIBLE), "")]
    if config.strip_accents:
        steps.append(normalizers.Replace(Regex(ACCENTS), ""))
    if config.lowercase:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence([*steps, normalizers.NFC()])


def hardly_read(texts: Sequence[str], tokens: Int, unknown: Float64) -> Bool:
    """Return whether more than half of a text is [UNK], or a long text is one token: bool[N].

    tokens: how many each text has; unknown: the share of them that is [UNK].
    """
    long = np.array([len(text) >= LONG_CHARACTERS for text in texts], dtype=bool)
    return np.asarray((unknown > 0.5) | (long & (tokens == 1)))


def unknown_rates(token_ids: Int32, offsets: Int64) -> Float64:
    """Return the share of [UNK] among the tokens of each row: float64[N]; every row has a token."""
    return np.asarray(np.diff(starts_of(token_ids == UNK_ID)[offsets]) / np.diff(offsets), np.float64)
