"""Profiles, the five figures with their limits, and real accuracy."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lstm_model.config.drift import DriftConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.drift.feedback import compare_accuracy, highest_difference, wilson_interval
from lstm_model.drift.profile import Profile, ProfileBuilder, Reference
from lstm_model.drift.statistics import DriftComparison, compare_profiles, equal_groups, stability_index
from lstm_model.drift.word_shift import chance_spread, word_shift
from lstm_model.errors import ModelError
from lstm_model.pages.drift_page import SHOWN_PARTS, drift_markdown, render_drift
from lstm_model.tokens.text_encoder import TextEncoder
from lstm_model.tokens.tokenizer import fit_tokenizer

LABELS = ["cat", "dog", "owl"]
WORDS = [f"w{n}" for n in range(400)]
CONFIG = DriftConfig()


def texts_of(rows: int, seed: int, *, words: list[str] = WORDS, length: int = 12) -> list[str]:
    """Texts of Zipf-like words, about `length` each."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, len(words) + 1)
    sizes = 1 + rng.poisson(length - 1, rows)
    drawn = rng.choice(len(words), size=sizes.sum(), p=shares / shares.sum())
    return [" ".join(words[i] for i in row) for row in np.split(drawn, np.cumsum(sizes)[:-1])]


def answers_to(rows: int, seed: int, *, shares: tuple[float, ...] = (0.5, 0.3, 0.2), sure: float = 2.0) -> np.ndarray:
    """Probabilities with labels in these shares; sure: how far apart the logits are."""
    rng = np.random.default_rng(seed + 1_000)
    logits = rng.normal(0, 1, (rows, 3)) + sure * np.eye(3)[rng.choice(3, rows, p=shares)] * 2
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


@cache
def encoder() -> TextEncoder:
    return TextEncoder(fit_tokenizer(texts_of(500, seed=99), TokenizationConfig(vocab_size=300, max_length=64)))


def profile_of(texts: list[str], probabilities: np.ndarray) -> Profile:
    builder = ProfileBuilder(LABELS, encoder())
    builder.see_texts(texts, first_row=0)
    builder.see_answers(probabilities)
    return builder.profile()


@cache
def reference() -> Profile:
    return profile_of(texts_of(3_000, seed=1), answers_to(3_000, seed=1))


def compared(batch: Profile, config: DriftConfig = CONFIG) -> DriftComparison:
    return compare_profiles(reference(), batch, config, token_name=lambda token: encoder().tokenizer.id_to_token(token))


def drifted(comparison: DriftComparison) -> list[str]:
    return [figure.name for figure in comparison.figures if figure.drifted]


def test_a_profile_is_the_same_whatever_the_chunks_are() -> None:
    texts, probabilities = texts_of(5_000, seed=2), answers_to(5_000, seed=2)
    pieces = ProfileBuilder(LABELS, encoder())
    for first in (3_000, 0, 1_000):  # A scoring that goes on tells chunks in any order.
        last = {0: 1_000, 1_000: 3_000, 3_000: 5_000}[first]
        pieces.see_texts(texts[first:last], first_row=first)
        pieces.see_answers(probabilities[first:last])
    whole, built = profile_of(texts, probabilities), pieces.profile()
    for name in ("classes", "confidence", "token_ids", "offsets", "digests"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(built, name))
    assert whole.rows == 5_000 and len(whole.digests) == 2_000


def test_the_sample_is_even_over_the_rows() -> None:
    sample = profile_of([f"w{n}" for n in range(10_000)], answers_to(10_000, seed=0))
    builder = ProfileBuilder(LABELS, encoder())
    builder.see_texts([f"w{n}" for n in range(10_000)], first_row=0)
    rows = np.array(sorted(row for _, row, _, _ in builder.kept))
    assert len(sample.digests) == len(rows) == 2_000
    assert np.bincount(rows // 1_000, minlength=10) == pytest.approx(np.full(10, 200), abs=60)


def test_rows_without_a_text_are_passed_over() -> None:
    builder = ProfileBuilder(LABELS, encoder())
    builder.see_texts(["w1", None, "w2"], first_row=0)
    assert len(builder.profile().digests) == 2


@pytest.mark.parametrize(("rows", "batches"), [(30, 30), (100, 15), (1_000, 6), (5_000, 3)])
def test_at_most_one_in_many_batches_of_the_same_kind_is_called_drifted(rows: int, batches: int) -> None:
    seeds = range(10, 10 + batches)
    verdicts = [compared(profile_of(texts_of(rows, seed=n), answers_to(rows, seed=n))).verdict for n in seeds]
    assert verdicts.count("drifted") <= 1 and "not judged" not in verdicts


OTHERS = {
    "labels": (texts_of(400, seed=3), answers_to(400, seed=3, shares=(0.1, 0.2, 0.7)), ["classes"]),
    "confidence": (texts_of(400, seed=3), answers_to(400, seed=3, sure=0.5), ["confidence"]),
    "length": (texts_of(400, seed=3, length=40), answers_to(400, seed=3), ["length"]),
    "words the tokenizer does not know": (
        texts_of(400, seed=3, words=[f"x{n}" if n % 4 else f"w{n}" for n in range(400)]),
        answers_to(400, seed=3),
        ["unknown_words", "words"],
    ),
    "known words in other shares": (texts_of(400, seed=3, words=WORDS[199::-1]), answers_to(400, seed=3), ["words"]),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_differs_is_found_and_named(what: str) -> None:
    texts, probabilities, expected = OTHERS[what]
    comparison = compared(profile_of(texts, probabilities))
    assert comparison.verdict == "drifted" and set(expected) <= set(drifted(comparison))
    # Long rows hold more rare words, so those figures may follow; the others may not.
    assert set(drifted(comparison)) <= {*expected, "unknown_words", "words"}
    assert all(figure.what in comparison.text for figure in comparison.figures if figure.drifted)


def test_a_small_batch_has_wider_limits_than_a_large_one() -> None:
    small, large = (compared(profile_of(texts_of(n, seed=4), answers_to(n, seed=4))) for n in (30, 3_000))
    for one, other in zip(small.figures, large.figures, strict=True):
        assert one.chance > other.chance
    assert {figure.name: figure.threshold for figure in large.figures} == pytest.approx(
        {"classes": 0.2, "confidence": 0.2, "length": 0.2, "unknown_words": 0.05, "words": 0.7}
    )


ALIKE = {
    "no row": ([], 0),
    "one row": (["w1 w2 w3"], 1),
    "29 rows": (texts_of(29, seed=5), 29),
    "one text 10,000 times": (["w1 w2 w3"] * 10_000, 1),
    "twenty texts over and over": (texts_of(20, seed=5) * 100, 20),
}


@pytest.mark.parametrize("what", ALIKE)
def test_too_few_different_rows_are_not_judged_and_the_reason_says_so(what: str) -> None:
    texts, different = ALIKE[what]
    comparison = compared(profile_of(texts, answers_to(len(texts), seed=5)))
    assert comparison.verdict == "not judged" and comparison.figures == []
    assert f"the batch has {len(texts):,} with a text" in comparison.text and "at least 30" in comparison.text
    assert comparison.effective_rows == pytest.approx(different, rel=0.1)


def test_texts_that_no_token_is_known_of_are_different_rows_and_drift() -> None:
    texts = ["股" * (1 + n % 9) + chr(0x4E00 + n) for n in range(300)]
    comparison = compared(profile_of(texts, answers_to(300, seed=6)))
    assert comparison.effective_rows == 300 and "unknown_words" in drifted(comparison)


def test_a_small_reference_is_not_judged_by() -> None:
    few = profile_of(texts_of(12, seed=7), answers_to(12, seed=7))
    comparison = compare_profiles(few, reference(), CONFIG, token_name=str)
    assert comparison.verdict == "not judged" and "the reference has 12" in comparison.text


def test_repeated_rows_widen_what_chance_brings() -> None:
    texts, probabilities = texts_of(100, seed=8), answers_to(100, seed=8)
    once = compared(profile_of(texts, probabilities))
    often = compared(profile_of(texts * 20, np.tile(probabilities, (20, 1))))
    assert often.rows == 2_000 and often.effective_rows == pytest.approx(100, rel=0.1)
    chances = {figure.name: figure.chance for figure in often.figures}
    assert chances == pytest.approx({figure.name: figure.chance for figure in once.figures}, rel=0.15)


def test_the_stability_index_is_what_the_formula_gives_and_never_infinite() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    value = stability_index(q * 1e9, p * 1e9)
    assert value == pytest.approx(((p - q) * np.log(p / q)).sum(), rel=1e-6)
    assert stability_index(np.array([100.0, 0.0, 0.0]), np.array([0.0, 100.0, 0.0])) < 12
    assert stability_index(np.array([4.0, 6.0]), np.array([4.0, 6.0])) == 0


def test_groups_hold_like_shares_and_keep_neighbours_together() -> None:
    groups = equal_groups(np.array([1, 0, 9, 10, 10, 0, 60, 10]))
    assert groups.tolist() == sorted(groups.tolist()) and groups[0] == 0
    assert groups[6] not in groups[:6]  # The one large bin stands alone.


def test_words_are_told_apart_only_where_they_differ_and_copies_are_no_help() -> None:
    assert word_shift(reference(), reference())[0] < 0.5 + 3 * chance_spread(2_000, 2_000)
    other = profile_of(texts_of(300, seed=9, words=WORDS[:50][::-1]), answers_to(300, seed=9))
    auc, words = word_shift(reference(), other)
    assert auc > 0.9
    token, before, now = words[0]
    assert encoder().tokenizer.id_to_token(token) in ("w48", "w49") and now > before


def test_comparing_leaves_the_profiles_as_they_were() -> None:
    batch = profile_of(texts_of(50, seed=11), answers_to(50, seed=11))
    kept = replace(batch, token_ids=batch.token_ids.copy(), offsets=batch.offsets.copy())
    compared(batch)
    np.testing.assert_array_equal(batch.token_ids, kept.token_ids)


def test_a_reference_survives_its_files_and_is_no_pickle(tmp_path: Path) -> None:
    Reference(reference(), test_rows=200, test_right=171).save(tmp_path)
    loaded = Reference.load(tmp_path)
    assert loaded and (loaded.test_rows, loaded.test_right) == (200, 171)
    assert loaded.profile.labels == LABELS and loaded.profile.unknown_rate == reference().unknown_rate
    np.testing.assert_array_equal(loaded.profile.token_ids, reference().token_ids)
    assert {path.name for path in tmp_path.iterdir()} == {"reference.json", "reference.npz"}


def test_a_folder_without_a_reference_has_none_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert Reference.load(tmp_path) is None
    Reference(reference(), test_rows=2, test_right=1).save(tmp_path)
    (tmp_path / "reference.npz").write_bytes((tmp_path / "reference.npz").read_bytes()[:500])
    with pytest.raises(ModelError, match="training reference"):
        Reference.load(tmp_path)


def judged(right: int, rows: int) -> str:
    return compare_accuracy(right=right, rows=rows, test_right=900, test_rows=1_000, config=CONFIG).verdict


def test_real_accuracy_is_lower_only_beyond_margin_and_chance() -> None:
    assert judged(270, 300) == "stable"  # 90 %
    assert judged(255, 300) == "stable"  # 85 %, but chance.
    assert judged(8_500, 10_000) == "stable"  # 85 %, within what the test rows themselves leave open.
    assert judged(8_000, 10_000) == "drifted"
    assert judged(20, 29) == "not judged"


def test_intervals_of_shares_are_those_of_the_papers() -> None:
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I.
    assert highest_difference(56, 70, 48, 80) == pytest.approx(0.3339, abs=1e-4)  # Newcombe 1998 (b), table II (a).
    assert wilson_interval(0, 0) == (0.0, 1.0)


FACTS = {"model_name": "m", "version": "3", "path": "<b>.csv", "number": 4, "time": "2026-01-02T03:04:05+00:00"}


def test_the_page_shows_the_parts_that_moved_most_in_their_order() -> None:
    found = compared(profile_of(texts_of(200, seed=1), answers_to(200, seed=1))).to_json()
    parts = [{"name": f"part {place:02}", "reference": 0.0, "batch": 0.1} for place in range(SHOWN_PARTS)]
    found["figures"][0]["parts"] = [*parts, {"name": "moved most", "reference": 0.0, "batch": 0.4}]
    page = render_drift(found, FACTS, [])
    assert "moved most" in page and f"part {SHOWN_PARTS - 2}" in page and f"part {SHOWN_PARTS - 1}" not in page


def test_the_page_escapes_names_and_needs_nothing_from_elsewhere() -> None:
    texts = texts_of(200, seed=12, words=["<script>alert(1)</script>", *WORDS[:30]])
    found = compared(profile_of(texts, answers_to(200, seed=12))).to_json()
    page = render_drift(found, FACTS, [])
    assert "<script" not in page and "<b>.csv" not in page and "&lt;b&gt;.csv" in page
    assert "http:" not in page and "https:" not in page and "src=" not in page
    assert "| words |" in drift_markdown(found)
