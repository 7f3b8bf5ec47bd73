"""Probabilities become answers: the best label, the k best, or none below a threshold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_model.classifier.answers import AnswerOptions, answer_records, answer_table
from lstm_model.classifier.scores import score_rows, scores_schema
from lstm_model.data.reading import estimate_rows

LABELS = ["cat", "dog", "owl"]
PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.0, 0.9]], dtype=np.float32)


class FixedAnswers:
    """A classifier whose answers are known."""

    labels = LABELS

    def predict_probabilities(self, texts: list[str]) -> np.ndarray:
        return PROBABILITIES[: len(texts)]


def test_the_best_label_its_score_and_a_probability_per_class() -> None:
    table = answer_table(PROBABILITIES, LABELS)
    assert table["label"].tolist() == ["dog", "cat", "owl"]  # Of equal ones the first.
    assert table["score"].tolist() == PROBABILITIES.max(axis=1).astype(float).tolist()
    assert list(table.columns) == ["label", "score", "probability_cat", "probability_dog", "probability_owl"]


def test_records_are_the_rows_of_the_table() -> None:
    for options in (AnswerOptions(), AnswerOptions(top_k=2, threshold=0.45)):
        table = answer_table(PROBABILITIES, LABELS, options)
        assert answer_records(PROBABILITIES, LABELS, options) == table.to_dict("records")


def test_top_k_names_the_best_in_order_and_no_more_than_there_are() -> None:
    table = answer_table(PROBABILITIES, LABELS, AnswerOptions(top_k=2))
    assert table["top_labels"].tolist() == [["dog", "owl"], ["cat", "dog"], ["owl", "cat"]]
    assert list(table.columns) == ["label", "score", "top_labels", "top_scores"]
    assert len(answer_table(PROBABILITIES, LABELS, AnswerOptions(top_k=9))["top_labels"][0]) == 3


def test_a_score_below_the_threshold_gets_the_abstain_label_and_one_at_it_does_not() -> None:
    table = answer_table(PROBABILITIES, LABELS, AnswerOptions(threshold=0.5, abstain_label="?"))
    assert table["label"].tolist() == ["dog", "?", "owl"]
    assert table["score"].tolist() == PROBABILITIES.max(axis=1).astype(float).tolist()


def test_no_rows() -> None:
    none = PROBABILITIES[:0]
    assert answer_records(none, LABELS) == [] and len(answer_table(none, LABELS, AnswerOptions(top_k=1))) == 0


@pytest.mark.parametrize("options", [{"top_k": -1}, {"threshold": 1.1}, {"threshold": float("nan")}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="it must be"):
        AnswerOptions(**options)  # type: ignore[arg-type]


def test_scores_keep_rows_without_a_text_in_place_with_status_and_reason() -> None:
    chunk = pd.DataFrame({"text": ["a", None, "b"], "problem": [None, "null", None]}, dtype=object)
    made_by = {"model_name": "m", "model_version": "3", "run_id": "r"}
    table = score_rows(chunk, FixedAnswers(), first_row=11, made_by=made_by)  # type: ignore[arg-type]
    assert table.schema == scores_schema(LABELS)
    assert table["id"].to_pylist() == ["11", "12", "13"]
    assert table["label"].to_pylist() == ["dog", None, "cat"]
    assert table["score"].to_pylist()[1] is None and table["probability_owl"].to_pylist()[1] is None
    assert table["status"].to_pylist() == ["scored", "unscored", "scored"]
    assert table["reason"].to_pylist() == [None, "null", None]
    assert table["model_version"].to_pylist() == ["3"] * 3


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet", "a.jsonl"])
def test_rows_are_estimated_before_they_are_read(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"row {number}" for number in range(1_234)]})
    path = tmp_path / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    elif name.endswith(".jsonl"):
        path.write_text(frame.to_json(orient="records", lines=True).rstrip("\n"))
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    assert estimate_rows(path) == 1_234
