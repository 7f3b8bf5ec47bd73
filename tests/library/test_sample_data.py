"""The sample that the quickstart trains on: large enough, balanced, and no row borrows from another."""

import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.row_rules import derive_columns, list_bad_rows, row_rules

PATH = Path(__file__).resolve().parents[2] / "data" / "headlines.csv"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.concat(read_chunks(PATH, {"example_id": "id", "text": "text", "label": "label"}), ignore_index=True)


def test_it_has_an_id_a_text_and_a_label() -> None:
    assert read_columns(PATH) == ["id", "text", "label"]


def test_four_labels_share_twelve_hundred_rows_or_more_evenly(rows: pd.DataFrame) -> None:
    counts = rows["label"].value_counts()
    assert len(rows) >= 1_200
    assert len(counts) == 4
    assert counts.max() - counts.min() <= 0.02 * counts.max()


def test_no_row_breaks_a_rule_or_repeats_an_id_or_a_text(rows: pd.DataFrame) -> None:
    config = DataConfig()
    found = list_bad_rows(rows, derive_columns(rows, config), row_rules(config, given_validation=False))
    assert found.to_dict("records") == []
    assert rows["example_id"].is_unique
    assert rows["text"].is_unique


def test_no_two_rows_share_a_run_of_five_words(rows: pd.DataFrame) -> None:
    holders: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for example_id, text in zip(rows["example_id"], rows["text"], strict=True):
        words = re.findall(r"\w+", text.lower())
        for first in range(len(words) - 4):
            holders[tuple(words[first : first + 5])].add(example_id)
    assert {" ".join(run): sorted(ids) for run, ids in holders.items() if len(ids) > 1} == {}
