"""The linear baseline learns words and pairs, repeats itself, and answers where nothing can be learned."""

import pytest

from lstm_model.evaluation import baseline
from lstm_model.evaluation.baseline import predict_with_baseline

TEXTS = ["the cat purrs", "a cat sleeps", "the dog barks", "a dog sleeps"]
LABELS = ["cat", "cat", "dog", "dog"]


def test_it_learns_which_words_tell_the_labels_apart() -> None:
    answers = predict_with_baseline(train_texts=TEXTS, train_labels=LABELS, texts=["cat", "Dog!", "two dogs, one dog"])
    assert answers == ["cat", "dog", "dog"]


def test_it_learns_pairs_of_words() -> None:
    texts = ["hot and cold, very cold", "cold and hot, very hot"] * 3
    answers = predict_with_baseline(
        train_texts=texts, train_labels=["fall", "rise"] * 3, texts=["very hot", "very cold"]
    )
    assert answers == ["rise", "fall"]


def test_equal_rows_give_equal_answers() -> None:
    texts = [f"word{n % 7} word{n % 5} word{n % 3}" for n in range(60)]
    labels = ["abc"[n % 3] for n in range(60)]
    asked = [f"word{n} word{n + 1}" for n in range(8)]
    first, second = (predict_with_baseline(train_texts=texts, train_labels=labels, texts=asked) for _ in range(2))
    assert first == second and set(first) <= set("abc")


@pytest.mark.parametrize("texts", [["!!!", "...", "?"], ["", " ", "\n"], ["a", "b", "c"]])
def test_texts_without_words_get_the_most_frequent_label(texts: list[str]) -> None:
    answers = predict_with_baseline(train_texts=texts, train_labels=["y", "z", "z"], texts=["any words", ""])
    assert answers == ["z", "z"]


def test_of_equally_frequent_labels_the_first_by_name_stands_in() -> None:
    assert predict_with_baseline(train_texts=["!", "?"], train_labels=["z", "y"], texts=["x"]) == ["y"]


def test_words_that_one_text_has_count_where_there_are_no_others() -> None:
    answers = predict_with_baseline(
        train_texts=["purr meow", "bark woof"], train_labels=["cat", "dog"], texts=["meow", "woof woof"]
    )
    assert answers == ["cat", "dog"]


def test_a_label_with_one_row_and_a_single_label_are_no_obstacle() -> None:
    answers = predict_with_baseline(
        train_texts=[*TEXTS, "the owl hoots", "an owl"], train_labels=[*LABELS, "owl", "cat"], texts=["owl hoots"]
    )
    assert answers[0] in {"owl", "cat"}
    assert predict_with_baseline(train_texts=TEXTS, train_labels=["pet"] * 4, texts=["owl"]) == ["pet"]


def test_many_labels_leave_fewer_terms_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "WEIGHTS", 100)
    labels = [f"label{n:02}" for n in range(50)] * 2
    texts = [f"rare{label} shared common words" for label in labels]
    answers = predict_with_baseline(train_texts=texts, train_labels=labels, texts=texts)
    assert len(answers) == 100 and set(answers) <= set(labels)  # Two terms do not tell 50 labels apart.
    assert answers != labels
