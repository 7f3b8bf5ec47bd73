"""Text to token_ids and back: one Hugging Face tokenizer, fitted on training texts, saved as tokenizer.json."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lstm_model.config import TokenizationConfig

PAD_ID, UNK_ID = 0, 1
PAD, UNK = "[PAD]", "[UNK]"
# Runs of letters, digits and marks, an inner apostrophe kept (don't); any other visible character alone.
WORD = r"[\p{L}\p{N}\p{M}_]+(?:['’][\p{L}\p{M}]+)*|[^\s\p{L}\p{N}\p{M}_]"

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


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


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Int32, Int64]:
    """Return token_ids: int32[sum of lengths] and offsets: int64[N + 1]; row i is token_ids[offsets[i]:offsets[i+1]].

    A text without any token (empty, blank, only accents) is the one token [UNK], so every row has length >= 1.
    """
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    parts: list[Int32] = []
    for first in range(0, len(texts), 4_096):  # Bounds the memory that Encoding objects take.
        encodings = tokenizer.encode_batch_fast(list(texts[first : first + 4_096]), add_special_tokens=False)
        for place, encoding in enumerate(encodings, start=first + 1):
            ids = encoding.ids or [UNK_ID]
            lengths[place] = len(ids)
            parts.append(np.array(ids, dtype=np.int32))
    token_ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    return token_ids, np.cumsum(lengths)


def unknown_rate(token_ids: Int32) -> float:
    """Return the share of tokens that are [UNK]."""
    return float(np.mean(token_ids == UNK_ID)) if token_ids.size else 0.0


def length_batches(lengths: Int64, batch_size: int, *, max_tokens: int | None = None) -> Iterator[Int64]:
    """Yield row numbers in batches of rows of similar length, shortest first; ties keep the order of the rows.

    max_tokens bounds rows times longest row, so that one long row does not widen a large batch.
    """
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        size = min(batch_size, len(order) - first)
        while max_tokens and size > 1 and size * int(lengths[order[first + size - 1]]) > max_tokens:
            size = max(1, size // 2)
        yield order[first : first + size]
        first += size


def pad_batch(token_ids: Int32, offsets: Int64, rows: Int64) -> Int32:
    """Return token_ids: int32[B, L] of the given rows, right-padded with 0 to the longest of them.

    Rows of 2 and 3 tokens: [[5, 9, 0], [7, 3, 4]]. Right-padded: cuDNN's masked LSTM requires it (Keras LSTM docs).
    """
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    columns = np.arange(int(lengths.max()))
    inside = columns < lengths[:, None]
    padded = np.full(inside.shape, PAD_ID, dtype=np.int32)
    padded[inside] = token_ids[(starts[:, None] + columns)[inside]]
    return padded
