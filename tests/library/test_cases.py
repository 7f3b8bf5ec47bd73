"""The file of cases: where it is looked for, and what is refused before anything is trained."""

from pathlib import Path

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.cases import find_cases, read_cases
from lstm_model.data.reading import read_chunks
from lstm_model.errors import ContentError, UsageError

SAMPLE = Path(__file__).resolve().parents[2] / "data"


@pytest.mark.parametrize("name", ["news.csv", "news.jsonl.gz", "news.parquet", "news.CSV"])
def test_it_is_looked_for_beside_the_labelled_file(tmp_path: Path, name: str) -> None:
    data = DataConfig(path=tmp_path / name)
    assert find_cases(data, EvaluationConfig()) is None
    (tmp_path / "news.cases.csv").write_text("text,label\nx,y\n")
    assert find_cases(data, EvaluationConfig()) == tmp_path / "news.cases.csv"


def test_a_named_file_takes_its_place_and_must_exist(tmp_path: Path) -> None:
    (tmp_path / "news.cases.csv").write_text("text,label\nx,y\n")
    named = find_cases(DataConfig(path=tmp_path / "news.csv"), EvaluationConfig(cases=tmp_path / "mine.jsonl"))
    assert named == tmp_path / "mine.jsonl"
    with pytest.raises(UsageError, match="no such file"):
        read_cases(named)


def test_cases_are_read_as_strings_in_order(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "NA", "label": "x", "why": "a name"}\n{"text": "", "label": 7}\n')
    assert read_cases(path, labels=["7", "x"]).to_dict("records") == [
        {"text": "NA", "label": "x"}, {"text": "", "label": "7"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "text,class\nx,y\n",
            ["columns 'text' and 'label'", "found: 'text', 'class'", "'label'", "--evaluation.cases"],
        ),
        ("text,label\n", ["c.csv has a header only", "Add rows"]),
        ("text,label\nfine,cat\nbad,cta\n", ["Row 2 of", "'cta' for 'bad'", "'cat', 'dog'", "--evaluation.cases"]),
    ],
)
def test_what_no_model_could_answer_is_refused(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "c.csv"
    path.write_text(content)
    with pytest.raises(ContentError) as caught:
        read_cases(path, labels=["cat", "dog"])
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_text_that_is_none_is_refused_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": null, "label": "cat"}\n')
    with pytest.raises(ContentError, match=r"Row 1 of .* has no text: null"):
        read_cases(path)


def test_cases_of_several_columns_have_the_columns_of_training(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("body,title,label\nall of it,The news,cat\n")
    assert read_cases(path, inputs=["title", "body"])["text"].tolist() == ["The news \ue000 all of it"]
    with pytest.raises(ContentError, match="needs the columns 'title' and 'summary' and 'label'"):
        read_cases(path, inputs=["title", "summary"])


def test_the_sample_s_cases_cover_its_labels_and_are_no_rows_of_it() -> None:
    rows = pd.concat(read_chunks(SAMPLE / "headlines.csv", {"text": "text", "label": "label"}))
    found = find_cases(DataConfig(path=SAMPLE / "headlines.csv"), EvaluationConfig())
    assert found is not None
    cases = read_cases(found, labels=sorted(set(rows["label"])))
    assert cases["label"].value_counts().to_dict() == {"business": 6, "science": 6, "sports": 6, "world": 6}
    assert cases["text"].is_unique and not set(cases["text"]) & set(rows["text"])
