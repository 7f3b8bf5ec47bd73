"""The n-gram part: keys of words and characters, weights that add up, and a model that answers as it was fitted."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import ComplementNB, MultinomialNB

from lstm_model.ngrams import counts, fit, ngram_model
from lstm_model.ngrams.counts import KINDS, Kind, count_ngrams
from lstm_model.ngrams.fit import SMOOTHING, Ngrams, fit_ngrams, sample_rows, save_served
from lstm_model.ngrams.ngram_model import NgramModel, NgramTable
from lstm_model.ngrams.pieces import character_ngrams, edges_of, joints_of, split_pieces, word_runs, words_of
from lstm_model.tokens.text_encoder import texts_of
from lstm_model.tokens.words import split_words

TEXTS = ["the cat purrs", "a cat sleeps and purrs", "the dog barks", "a dog sleeps, barks"] * 3
LABEL_IDS = np.array([0, 0, 1, 1] * 3, dtype=np.int32)
MIXED = st.text(st.sampled_from("aAbé 1_'.\n\t猫が👩🏽\u200d\u0301\u00a0"), max_size=30)


def fitted(kind: Kind, texts: list[str] = TEXTS, label_ids: np.ndarray = LABEL_IDS, classes: int = 2) -> Ngrams:
    found = fit_ngrams(texts, label_ids, kind=kind, num_classes=classes)
    assert found is not None
    return found


def served(
    folder: Path, texts: list[str] = TEXTS, label_ids: np.ndarray = LABEL_IDS, *, classes: int = 2, bayes: float = 0.3
) -> NgramModel:
    for kind in KINDS:
        fitted(kind, texts, label_ids, classes).save(folder, kind, bayes=bayes)
    return NgramModel({kind: NgramTable(folder, kind) for kind in KINDS})


@given(st.lists(MIXED, max_size=4))
def test_counts_are_those_of_a_plain_reading(texts: list[str]) -> None:
    pieces, widths = split_pieces(texts)
    rows = [pieces[end - width : end] for end, width in zip(np.cumsum(widths), widths, strict=True)]
    words = [[word for piece in row for word in split_words(piece)] for row in rows]
    plain = {
        "words": [Counter([*row, *pairwise(row), *zip(row, row[1:], row[2:], strict=False)]) for row in words],
        "characters": [
            Counter(
                [
                    *(
                        padded[at : at + length]
                        for padded in (f" {piece} " for piece in row)
                        for length in range(1, 6)
                        for at in range(len(padded) - length + 1)
                        if padded[at : at + length] != " "
                    ),
                    *((size, one[-size:], other[:size]) for one, other in pairwise(row) for size in (1, 2, 3)),
                ]
            )
            for row in rows
        ],
    }
    for kind in KINDS:
        keys, counts = count_ngrams(texts, kind)
        assert counts.shape == (len(texts), len(keys)) and (keys[1:] > keys[:-1]).all()
        found = [sorted(row[row > 0].tolist()) for row in counts.toarray()]
        assert found == [sorted(map(float, row.values())) for row in plain[kind]]
        assert len(keys) == len(set().union(*plain[kind]))


def test_runs_of_words_that_occur_once_in_all_are_dropped_early() -> None:
    texts = ["a cat purrs", "the cat purrs", "a dog barks", "owl owl owl"]
    keys, counts = count_ngrams(texts, "words")
    again, repeated = count_ngrams(texts, "words", least=2)
    dropped = np.setdiff1d(keys, again)
    # Dropped: a cat, the cat, a dog, dog barks, and the four triples. "owl owl" occurs twice, if in one text.
    assert len(keys) - len(dropped) == len(again) and len(dropped) == 8
    assert (repeated != counts[:, np.isin(keys, again)]).nnz == 0


def test_a_key_depends_on_every_character_and_on_the_length() -> None:
    words = ["ab", "ba", "aab", "a", "aa", "aaa", "b", "é", "e"]
    assert len(np.unique(words_of(words)[0])) == len(words)
    grams = [keys.tolist() for keys, _ in character_ngrams(["ab"])]
    assert [len(keys) for keys in grams] == [2, 3, 2, 1] and len({key for keys in grams for key in keys}) == 8


def test_a_run_depends_on_the_order_of_its_words_and_stays_in_its_text() -> None:
    texts = ["a b c", "a c b", "b a c", "b c a", "a b", "c", "", "a b c d"]
    pieces, widths = split_pieces(texts)
    keys, starts = texts_of(*words_of(pieces), np.arange(len(pieces)), widths)
    (pairs, of_pairs), (triples, of_triples) = word_runs(keys, starts)
    assert of_pairs.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 7, 7, 7] and of_triples.tolist() == [0, 1, 2, 3, 7, 7]
    assert pairs[0] == pairs[8] == pairs[9] and triples[0] == triples[4]  # a b; a b c.
    assert len(np.unique(triples)) == 5 and not np.isin(triples, pairs).any()


def test_a_joint_depends_on_both_sides_of_a_space() -> None:
    texts = ["ab cd", "ab ce", "ab ed", "eb cd", "ae cd", "cd ab", "abx cd", "xab cd", "a cd", "ab c", "猫 犬"]
    keys = joints_of(edges_of(split_pieces(texts)[0]), np.arange(0, 2 * len(texts) + 1, 2))[0].reshape(-1, 3)
    assert len(np.unique(keys[:, 2])) == len(texts) and keys[0, 0] == keys[3, 0] and keys[0, 1] == keys[7, 1]
    alone, owners = joints_of(edges_of(["ab", "cd", "ef", "g"]), np.array([0, 1, 1, 3, 4]))
    assert len(alone) == 3 and owners.tolist() == [2, 2, 2]  # Texts without a second piece have none.


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_the_labels_and_repeats_itself(kind: Kind, tmp_path: Path) -> None:
    first, second = fitted(kind), fitted(kind)
    np.testing.assert_array_equal(first.weights, second.weights)
    margins = served(tmp_path).margins(["a CAT", "dog barks"])[kind]
    assert margins.argmax(axis=1).tolist() == [0, 1] and margins.dtype == np.float32
    np.testing.assert_allclose(margins[:, 0], -margins[:, 1], rtol=1e-6)  # Two labels: one against the other.


def test_characters_know_a_word_that_no_text_had(tmp_path: Path) -> None:
    assert served(tmp_path).margins(["catlike"])["characters"].argmax() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_served_margins_are_those_of_the_fitted_weights(kind: Kind, tmp_path: Path) -> None:
    texts, label_ids = [*TEXTS, "owls hoot", "an owl hoots"], np.append(LABEL_IDS, [2, 2]).astype(np.int32)
    model, ngrams = served(tmp_path, texts, label_ids, classes=4), fitted(kind, texts, label_ids, 4)
    asked = ["the cat and the owl", "dog dog dog", "nothing known: xyzzy", ""]
    counts = count_ngrams(asked, kind, ngrams.keys)[1].toarray()
    norms = np.sqrt(counts @ ngrams.squares)[:, None]
    expected = counts @ (ngrams.weights + 0.3 * ngrams.bayes) / np.where(norms > 0, norms, 1) + ngrams.intercepts
    np.testing.assert_allclose(model.margins(asked)[kind], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.margins(asked)[kind][3], [*ngrams.intercepts[:3], -1], atol=1e-6)  # No row: -1.


@pytest.mark.parametrize("kind", KINDS)
def test_naive_bayes_is_that_of_scikit_learn_with_the_deviation_of_the_svm(kind: Kind) -> None:
    texts, label_ids = [*TEXTS, "owls hoot", "an owl hoots"], np.append(LABEL_IDS, [2, 2]).astype(np.int32)
    ngrams = fitted(kind, texts, label_ids, 4)
    counts = count_ngrams(texts, kind, ngrams.keys)[1]
    models = [model(alpha=SMOOTHING).fit(counts > 0, label_ids) for model in (MultinomialNB, ComplementNB)]
    log_rates = sum(model.feature_log_prob_.T for model in models)  # The second has the rest's, with the sign changed.
    expected = log_rates - log_rates.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        ngrams.bayes[:, :3] / ngrams.bayes[:, :3].std(), expected / expected.std(), rtol=0, atol=1e-5
    )
    assert not ngrams.bayes[:, 3].any()  # No row has this label.
    norms = np.sqrt(counts @ ngrams.squares)[:, None]
    assert (counts @ ngrams.bayes / norms).std() == pytest.approx((counts @ ngrams.weights / norms).std(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_both_kinds_of_margins_come_from_one_table_and_are_served_as_a_sum(kind: Kind, tmp_path: Path) -> None:
    texts, label_ids = [*TEXTS, "owls hoot", "an owl hoots"], np.append(LABEL_IDS, [2, 2]).astype(np.int32)
    ngrams, asked = fitted(kind, texts, label_ids, 3), ["the cat and the owl", "nothing known: xyzzy", ""]

    def margins() -> np.ndarray:
        return NgramModel({kind: NgramTable(tmp_path, kind)}).margins(asked)[kind]

    ngrams.save(tmp_path, kind)
    svm, bayes = np.split(margins(), 2, axis=1)
    served_folder = tmp_path / "served"
    served_folder.mkdir()
    save_served(tmp_path, served_folder, kind, bayes=0.3)
    ngrams.save(tmp_path, kind, bayes=0.3)
    for file in served_folder.iterdir():
        np.testing.assert_array_equal(np.load(file), np.load(tmp_path / file.name))
    np.testing.assert_allclose(margins(), svm + 0.3 * bayes, rtol=0, atol=1e-6)
    assert bayes[0].argmax() != 1 and not bayes[2].any()  # An empty text has no margins of naive Bayes.


@settings(max_examples=40)
@given(st.lists(MIXED, min_size=1, max_size=5))
def test_a_text_gets_the_same_margins_alone_and_later(model: NgramModel, texts: list[str]) -> None:
    together = model.margins(texts)
    for kind in KINDS:
        alone = np.concatenate([model.margins([text])[kind] for text in texts])
        np.testing.assert_array_equal(together[kind], alone)
        assert np.isfinite(alone).all()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    return served(tmp_path_factory.mktemp("ngrams"))


def test_what_is_remembered_is_bounded_and_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = served(tmp_path).margins(TEXTS)
    monkeypatch.setattr(ngram_model, "KEPT_NUMBERS", 4 * 6)  # Four pieces of 2 x 3 numbers.
    small = served(tmp_path)
    for texts in (["a" * 200, *TEXTS], TEXTS, ["new words come " * 5], TEXTS):
        found = small.margins(texts)
        assert len(small.known) <= 4 and len(small.starts) == len(small.known) + 1
        assert len(small.edges) == 2 * len(small.known)
    for kind in KINDS:
        np.testing.assert_array_equal(found[kind], plain[kind])


def test_only_the_beginning_of_a_very_long_text_is_read(model: NgramModel) -> None:
    long = model.margins(["cat " * 5_000 + "dog " * 200_000, "猫" * 500_000])
    np.testing.assert_array_equal(long["words"][0], model.margins(["cat " * 5_000])["words"][0])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_learn_gives_no_part(kind: Kind) -> None:
    assert fit_ngrams(["", "  "], np.array([0, 1], np.int32), kind=kind, num_classes=2) is None
    assert fit_ngrams(["a cat", "a dog"], np.array([1, 1], np.int32), kind=kind, num_classes=2) is None


def test_many_labels_leave_the_most_frequent_ngrams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "MOST_NUMBERS", 50)
    frequent = fitted("words")
    assert len(frequent.keys) == 10  # For 2 labels, 5 numbers each.


@pytest.mark.parametrize("kind", KINDS)
def test_counts_do_not_depend_on_how_many_texts_are_split_at_once(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    texts = ["a cat", "", "the cat, a dog", "cat a", "dog"]
    keys, together = count_ngrams(texts, kind)
    monkeypatch.setattr(counts, "CHUNK_TEXTS", 2)
    chunked_keys, chunked = count_ngrams(texts, kind)
    assert keys.tolist() == chunked_keys.tolist() and (together != chunked).nnz == 0


def test_many_ngrams_are_fitted_on_a_sample_with_every_label(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, label_ids = [f"word{n} cat" for n in range(400)], np.arange(400, dtype=np.int32) % 4
    assert len(sample_rows(texts, label_ids, ["words"])) == 400
    monkeypatch.setattr(fit, "MOST_NONZEROS", 300)  # Of 1,200: two words and a pair in each row.
    rows = sample_rows(texts, label_ids, ["words"])
    assert np.bincount(label_ids[rows]).tolist() == [25] * 4 and (np.diff(rows) > 0).all()
    assert fitted("words", texts, label_ids, 4).fitted_rows == 100


@pytest.mark.parametrize("change", ["keys", "rows"])
def test_tables_that_do_not_fit_together_are_rejected(tmp_path: Path, change: str) -> None:
    served(tmp_path)
    keys, rows = (np.load(tmp_path / f"words_{name}.npy") for name in ("keys", "weights"))
    if change == "keys":
        np.save(tmp_path / "words_keys.npy", keys[::-1])
    else:
        np.save(tmp_path / "words_weights.npy", rows[1:])
    with pytest.raises(ValueError, match="do not fit together"):
        NgramTable(tmp_path, "words")
