"""Word vectors from a file: formats by content, words by the tokenizer's normalization, and files that are refused."""

import gzip
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.errors import ContentError, LstmTextError, UsageError
from lstm_model.tokens.tokenizer import fit_tokenizer
from lstm_model.tokens.word_vectors import WordVectors, check_word_vectors, read_word_vectors

TOKENIZER = fit_tokenizer(["goal goal cafe cafe", "Café rates . don't"], TokenizationConfig(strip_accents=True))
VOCAB = TOKENIZER.get_vocab()
ENTRIES = [("goal", [1.0, 2.0, 3.0]), ("RATES", [4.0, 5.0, 6.0]), ("unheard", [7.0, 8.0, 9.0])]
Entries = Sequence[tuple[str, list[float]]]


def glove(entries: Entries) -> bytes:
    return "".join(f"{word} {' '.join(map(str, values))}\n" for word, values in entries).encode()


def vec(entries: Entries) -> bytes:
    return f"{len(entries)} {len(entries[0][1])}\n".encode() + glove(entries).replace(b"\n", b" \n")


def binary(entries: Entries, end: bytes = b"\n") -> bytes:
    packed = [word.encode() + b" " + struct.pack(f"<{len(values)}f", *values) + end for word, values in entries]
    return f"{len(entries)} {len(entries[0][1])}\n".encode() + b"".join(packed)


def read(content: bytes, folder: Path, *, embedding_dim: int = 3, seed: int = 1) -> WordVectors:
    (folder / "vectors").write_bytes(content)
    return read_word_vectors(folder / "vectors", TOKENIZER, embedding_dim=embedding_dim, seed=seed)


FORMATS = {
    "GloVe": glove(ENTRIES),
    "GloVe with a byte-order mark": b"\xef\xbb\xbf" + glove(ENTRIES),
    "fastText .vec": vec(ENTRIES),
    "word2vec binary": binary(ENTRIES),
    "word2vec binary of gensim": binary(ENTRIES, end=b""),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_format_is_recognised_by_content(name: str, pack: object, tmp_path: Path) -> None:
    vectors = read(pack(FORMATS[name]), tmp_path)  # type: ignore[operator]
    matched = [VOCAB["goal"], VOCAB["rates"]]
    assert vectors.rows.dtype == np.float32 and np.flatnonzero(vectors.matched).tolist() == sorted(matched)
    np.testing.assert_array_equal(vectors.rows[matched], [[1, 2, 3], [4, 5, 6]])


def test_an_exact_word_wins_over_a_normalized_one_and_the_first_of_several_wins(tmp_path: Path) -> None:
    entries = [("GOAL", [1.0]), ("goal", [2.0]), ("goal", [3.0]), ("CAFÉ", [4.0]), ("Café", [5.0]), ("cafe", [6.0]),
               ("Rates", [7.0]), ("RATES", [8.0])]  # fmt: skip
    rows = read(vec(entries), tmp_path, embedding_dim=1).rows
    assert [rows[VOCAB[word], 0] for word in ("goal", "cafe", "rates")] == [2, 6, 7]


@pytest.mark.parametrize(("lowercase", "strip_accents"), [(True, False), (False, True), (False, False)])
def test_words_are_normalized_as_the_tokenizer_is_configured(
    lowercase: bool, strip_accents: bool, tmp_path: Path
) -> None:
    tokenizer = fit_tokenizer(["Café goal"], TokenizationConfig(lowercase=lowercase, strip_accents=strip_accents))
    (tmp_path / "v").write_bytes(glove([("Café", [1.0]), ("GOAL", [2.0])]))
    vectors = read_word_vectors(tmp_path / "v", tokenizer, embedding_dim=1, seed=1)
    token = tokenizer.normalizer.normalize_str("Café")
    assert vectors.matched[tokenizer.token_to_id(token)] and vectors.matched.sum() == 1 + lowercase


def test_other_rows_are_random_on_the_scale_of_the_matched_ones_and_padding_is_zero(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 7, 500).tolist()
    content = glove([("goal", values), ("[PAD]", values), ("[UNK]", values)])
    vectors, again, other = (read(content, tmp_path, embedding_dim=500, seed=seed) for seed in (1, 1, 2))
    assert vectors.matched.tolist() == [token_id == VOCAB["goal"] for token_id in range(len(VOCAB))]
    assert not vectors.rows[0].any() and 6 < vectors.rows[1].std() < 8
    np.testing.assert_array_equal(vectors.rows, again.rows)
    assert (vectors.rows[~vectors.matched][1:] != other.rows[~vectors.matched][1:]).any(axis=1).all()


def test_coverage_counts_vocabulary_entries_and_tokens(tmp_path: Path) -> None:
    vectors = read(glove(ENTRIES), tmp_path)
    assert vectors.vocabulary_share == 2 / 5  # goal, cafe, rates, ., don't
    assert vectors.token_share(np.array([VOCAB["goal"], VOCAB["goal"], 1, VOCAB["."]], np.int32)) == 0.5


def test_words_with_spaces_are_split_from_the_right(tmp_path: Path) -> None:
    odd = [(". . .", [1.0, 1.0, 1.0]), ("at name@domain.com", [1.0, 1.0, 1.0]), ("66", [1.0, 1.0, 1.0])]
    assert read(glove([*ENTRIES, *odd, (".", [2.0, 2.0, 2.0])]), tmp_path).rows[VOCAB["."], 0] == 2


def test_a_few_words_that_are_not_utf8_are_skipped(tmp_path: Path) -> None:
    many = glove([(f"w{number}", [0.0, 0.0, 0.0]) for number in range(2_000)])
    assert read(glove(ENTRIES) + b"caf\xe9 1 2 3\n" + many, tmp_path).matched.sum() == 2


NOISE = os.urandom(3_000).hex().encode()
BAD: dict[str, tuple[bytes, type[LstmTextError], list[str]]] = {
    "another width": (vec([("goal", [1.0] * 50)]), UsageError, ["50 numbers", "embedding_dim is 3", "-dim 50"]),
    "another width, no header": (glove([("goal", [1.0] * 4)]), UsageError, ["4 numbers", "--model.embedding-dim 4"]),
    "a short line": (glove(ENTRIES) + b"short 1 2\n", ContentError, ["Line 4", "3 numbers", "'short 1 2'"]),
    "a long line": (glove(ENTRIES) + b"long 1 2 3 4\n", ContentError, ["Line 4", "ends with 4 numbers"]),
    "a line without a number": (vec(ENTRIES[:2]) + b"\ncafe 1 x 3\n", ContentError, ["Line 5", "'cafe 1 x 3'"]),
    "no vectors at all": (b"id,text,label\nr1,a text,cat\n", ContentError, ["Line 1", "'id,text,label'"]),
    "a huge line": (glove(ENTRIES) + b"x" * (3 << 20), ContentError, ["Line 4"]),
    "no overlap": (glove([("foreign", [1.0, 2.0, 3.0])]), ContentError, ["None of the 1 words", "language"]),
    "Latin-1": (glove(ENTRIES) + b"caf\xe9 1 2 3\n", ContentError, ["not UTF-8", "1 of 4", "line 4", "iconv"]),
    "UTF-16": (glove(ENTRIES).decode().encode("utf-16"), ContentError, ["UTF-16", "iconv"]),
    "truncated gzip": (gzip.compress(glove(ENTRIES) + NOISE)[:-900], ContentError, ["gzip", "again"]),
    "truncated binary": (binary(ENTRIES)[:-6], ContentError, ["ends after 2 of 3 words", "again"]),
    "truncated text": (vec(ENTRIES).rsplit(b"unheard")[0], ContentError, ["ends after 2 of 3 words", "first line"]),
    "a header alone": (b"3 3\n", ContentError, ["ends after 0 of 3 words"]),
    "empty": (b"", ContentError, ["is an empty file"]),
    "empty, packed": (gzip.compress(b""), ContentError, ["is an empty file"]),
    "NaN": (glove([("goal", [1.0, float("nan"), 3.0])]), ContentError, ["line 1", "finite"]),
    "beyond float32": (glove([("goal", [1.0, 1e39, 3.0])]), ContentError, ["line 1", "finite"]),
    "infinity, binary": (binary([*ENTRIES, ("cafe", [1.0, float("inf"), 3.0])]), ContentError, ["vector 4", "finite"]),
    "a zip archive": (b"PK\x03\x04" + NOISE, ContentError, ["complete zip file", "again"]),
    "a fastText model": (b"\xba\x16\x4f\x2f" + NOISE, ContentError, ["fastText model", ".vec"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_a_message(case: str, tmp_path: Path) -> None:
    content, error, words = BAD[case]
    with pytest.raises(error) as raised:
        read(content, tmp_path)
    assert [word for word in words if word not in str(raised.value)] == [] and "vectors" in raised.value.message


def test_a_folder_and_a_missing_file_are_usage_errors(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "none.vec", "no such file")):
        with pytest.raises(UsageError, match=words):
            check_word_vectors(path, embedding_dim=3)


def test_the_check_reads_the_start_only(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(glove(ENTRIES) + b"broken\n")
    check_word_vectors(tmp_path / "v", embedding_dim=3)
    with pytest.raises(UsageError, match=r"--model\.embedding-dim 3"):
        check_word_vectors(tmp_path / "v", embedding_dim=200)


def test_word_vectors_need_word_tokens_and_are_needed_to_be_frozen() -> None:
    with pytest.raises(ValidationError, match=r"model\.word_vectors needs tokenization\.kind=word"):
        PipelineConfig.model_validate({"model": {"word_vectors": "v.vec"}, "tokenization": {"kind": "bpe"}})
    assert PipelineConfig.model_validate({"model": {"word_vectors": "v.vec"}}).tokens.kind == "word"
    assert PipelineConfig().tokens.kind == "auto"
    with pytest.raises(ValidationError, match="tune_word_vectors=false needs word_vectors"):
        PipelineConfig.model_validate({"model": {"tune_word_vectors": False}})
