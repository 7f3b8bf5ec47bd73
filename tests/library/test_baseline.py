"""The linear baseline learns words, pairs and characters, repeats itself, and answers where nothing can be learned."""

from typing import Any

import numpy as np
import pytest

from lstm_model.evaluation import baseline
from lstm_model.evaluation.baseline import answer_with_baseline
from lstm_model.ngrams import fit
from lstm_model.ngrams.counts import Kind, count_ngrams

TEXTS = ["the cat purrs", "a cat sleeps", "the dog barks", "a dog sleeps"]
LABELS = ["cat", "cat", "dog", "dog"]


def answers(train: list[str], labels: list[str], texts: list[str]) -> list[str]:
    return answer_with_baseline(train=(train, labels), validation=(train[:2], labels[:2]), texts=texts).labels


def test_it_learns_which_words_tell_the_labels_apart() -> None:
    assert answers(TEXTS, LABELS, ["cat", "Dog !", "two dogs , one dog"]) == ["cat", "dog", "dog"]


def test_it_learns_pairs_of_words() -> None:
    texts = ["hot and cold, very cold", "cold and hot, very hot"] * 3
    assert answers(texts, ["fall", "rise"] * 3, ["very hot", "very cold"]) == ["rise", "fall"]


def test_it_learns_triples_of_words() -> None:
    subjects, verbs, places = (["cats", "dogs"], ["sleep", "eat"], ["inside", "outside"])
    found = [(a, b, c) for a in range(2) for b in range(2) for c in range(2)]
    texts = [f"{subjects[a]} {verbs[b]} {places[c]}" for a, b, c in found] * 2
    labels = [("even", "odd")[(a + b + c) % 2] for a, b, c in found] * 2  # No two of the three say anything.
    assert answers(texts, labels, texts[:8]) == labels[:8]


def test_validation_rows_choose_among_words_characters_and_both() -> None:
    rng = np.random.default_rng(1)
    stems, endings = ["kal", "mor", "tis", "vun", "rep", "gol"], {"past": "ode", "plural": "izu"}

    def rows(count: int, first: int) -> tuple[list[str], list[str]]:
        labels = [("past", "plural")[n % 2] for n in range(count)]
        return [f"{rng.choice(stems)}{n + first}x{endings[label]}" for n, label in enumerate(labels)], labels

    texts, labels = rows(40, 900)
    found = answer_with_baseline(train=rows(60, 100), validation=rows(30, 500), texts=texts)
    assert found.name == "TF-IDF of characters + linear SVM" and found.labels == labels  # No word occurs twice.
    assert list(found.validation_accuracy) == [
        "TF-IDF of words + linear SVM",
        "TF-IDF of characters + linear SVM",
        "TF-IDF of words and characters + linear SVM",
    ]
    assert found.validation_accuracy[found.name] == 1


def test_the_chosen_model_is_fitted_on_validation_rows_too() -> None:
    validation = (["an owl hoots", "the owl hoots", "the dog barks"], ["owl", "owl", "dog"])
    found = answer_with_baseline(train=(TEXTS, LABELS), validation=validation, texts=["owl hoots", "barks"])
    assert found.labels == ["owl", "dog"]


def test_equal_rows_give_equal_answers() -> None:
    texts = [f"word{n % 7} word{n % 5} word{n % 3}" for n in range(60)]
    labels = ["abc"[n % 3] for n in range(60)]
    first, second = (answers(texts, labels, [f"word{n} word{n + 1}" for n in range(8)]) for _ in range(2))
    assert first == second and set(first) <= set("abc")


def test_answers_are_those_of_each_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["cat", "Dog !", "", "two dogs , one dog", "a cat"]
    together = answers(TEXTS, LABELS, asked)
    monkeypatch.setattr(baseline, "CHUNK_ROWS", 2)
    assert answers(TEXTS, LABELS, asked) == together == [answers(TEXTS, LABELS, [text])[0] for text in asked]


def test_models_that_are_fitted_on_different_samples_use_their_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = [f"{label} word{n}" for n in range(200) for label in ("cat", "dog")], ["cat", "dog"] * 200
    monkeypatch.setattr(fit, "MOST_NONZEROS", 1_300)  # All rows for words, a sample for characters, a smaller for both.
    read: list[tuple[str, int]] = []

    def count(texts: list[str], kind: Kind, *wanted: Any, least: int = 1) -> Any:
        read.append((kind, len(texts)))
        return count_ngrams(texts, kind, *wanted, least=least)

    monkeypatch.setattr(baseline, "count_ngrams", count)
    assert answers(texts, labels, ["a cat", "a dog"]) == ["cat", "dog"]
    (_, words), (_, characters), (_, both), (_, same), (_, again) = [call for call in read if call[1] > 2]
    assert words == 400 > characters > both == same
    assert again == 402  # Words are chosen, and fitted on validation rows too.


def test_texts_without_any_character_get_the_most_frequent_label() -> None:
    assert answers(["", " ", "\n"], ["y", "z", "z"], ["any words", ""]) == ["z", "z"]


def test_of_equally_frequent_labels_the_first_by_name_stands_in() -> None:
    assert answers(["", " "], ["z", "y"], ["x"]) == ["y"]


def test_words_that_one_text_has_count_where_there_are_no_others() -> None:
    assert answers(["purr meow", "bark woof"], ["cat", "dog"], ["meow", "woof woof"]) == ["cat", "dog"]


def test_a_label_with_one_row_and_a_single_label_are_no_obstacle() -> None:
    found = answers([*TEXTS, "the owl hoots", "an owl"], [*LABELS, "owl", "cat"], ["owl hoots"])
    assert found[0] in {"owl", "cat"}
    assert answers(TEXTS, ["pet"] * 4, ["owl"]) == ["pet"]


def test_many_labels_leave_fewer_terms_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_NUMBERS", 100)
    labels = [f"label{n:02}" for n in range(50)] * 2
    texts = [f"rare{label} shared common words" for label in labels]
    found = answers(texts, labels, texts)
    assert len(found) == 100 and set(found) <= set(labels)  # Two terms do not tell 50 labels apart.
    assert found != labels
