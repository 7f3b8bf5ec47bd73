"""Several text columns and groups, from training to every way of asking the model. Slow: a whole training, a server."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flows.cli import main
from lstm_model.config.data import DataConfig
from lstm_model.config.split import SplitConfig
from tests.flows.test_training_flow import train

pytestmark = pytest.mark.usefixtures("prefect_server")
WORDS = {"cat": "purr meow whisker", "dog": "bark woof leash", "owl": "hoot night feather"}
URI = "models:/columns@champion"
ASKED = {"title": "the purr", "body": "came and left"}


def write_table(path: Path, rows: int = 90) -> pd.DataFrame:
    """Write rows whose title tells the label; every third body is empty, each of 18 authors has five rows."""
    records = [
        {
            "title": f"the {WORDS[label].split()[number // 3 % 3]} {number}",
            "body": f"came at {number} and left" if number % 3 else None,
            "author": f"author {number * 7 % rows // 5}",
            "label": label,
        }
        for number in range(rows)
        for label in [sorted(WORDS)[number % 3]]
    ]
    table = pd.DataFrame(records)
    table.to_csv(path, index=False)
    return table


@pytest.fixture(scope="module")
def trained(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, pd.DataFrame]:
    """The outcome of a training whose gate asks a real server, the file and its rows."""
    path = tmp_path_factory.mktemp("columns") / "posts.csv"
    table = write_table(path)
    path.with_name("posts.cases.csv").write_text("title,body,label\nthe purr,,cat\nthe woof,came and left,dog\n")
    config = DataConfig(path=path, text_columns=("title", "body"))
    return train(path, "columns", data=config, split=SplitConfig(group_column="author")), path, table


def test_the_version_is_servable_with_the_columns_of_training(trained: tuple[Any, Path, pd.DataFrame]) -> None:
    outcome = trained[0]
    assert outcome.promoted and MlflowClient().get_run(outcome.run_id).data.metrics["cases_rows"] == 2
    model = mlflow.pyfunc.load_model(URI)
    assert model.metadata.signature.inputs.input_names() == ["title", "body"]
    assert model.predict(pd.DataFrame([ASKED]))["label"].tolist() == ["cat"]


def test_no_author_is_in_two_splits(trained: tuple[Any, Path, pd.DataFrame]) -> None:
    outcome, _, table = trained
    manifest = pd.read_parquet(
        mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path="split/splits.parquet")
    )
    assert set(manifest["split"]) == {"train", "validation", "test"}
    assert manifest["split"].groupby(table["author"]).nunique().tolist() == [1] * 18


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"title": None, "body": None}, "'title', 'body' needs a string in every row; it is null in row 0"),
        ({"title": "a \ue000 b", "body": ""}, "holds U+E000"),
        ({"title": "a"}, "body"),
    ],
)
def test_what_is_no_text_is_refused(trained: tuple[Any, Path, pd.DataFrame], row: dict[str, Any], words: str) -> None:
    with pytest.raises(MlflowException) as caught:
        mlflow.pyfunc.load_model(URI).predict(pd.DataFrame([row], dtype=object))
    assert words in str(caught.value)


def test_score_and_drift_read_the_columns_of_training_or_others_by_name(
    trained: tuple[Any, Path, pd.DataFrame], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, path, table = trained
    expected = mlflow.pyfunc.load_model(URI).predict(table[["title", "body"]])["label"].tolist()
    renamed = tmp_path / "renamed.csv"
    table.rename(columns={"title": "t", "body": "b"}).to_csv(renamed, index=False)
    for source, flags in ((path, []), (renamed, ["--text-columns", "t,b"])):
        output = tmp_path / f"{source.stem}.parquet"
        assert main(["score", str(source), "--output", str(output), "--model-uri", URI, "--no-drift", *flags]) == 0
        assert pd.read_parquet(output)["label"].tolist() == expected
        assert main(["drift", str(source), "--model-uri", URI, *flags]) in (0, 5)
    arguments = ["score", str(path), "--output", str(tmp_path / "x.csv"), "--model-uri", URI]
    assert main([*arguments, "--text-column", "title"]) == 2
    assert "The model reads 2 text columns ('title', 'body'), not 1" in capfd.readouterr().err
    assert main([*arguments, "--text-columns", "title,summary"]) == 3
    assert "has no column 'summary'" in capfd.readouterr().err


PREDICTED: dict[str, tuple[list[str], int, str]] = {
    "object": (["--json-input", json.dumps(ASKED)], 0, '"label": "cat"'),
    "null": (["--json-input", json.dumps({**ASKED, "body": None})], 0, '"label": "cat"'),
    "plain text": (["the purr"], 2, "reads the columns title, body. Pass --json-input"),
    "no object": (["--json-input", "the purr"], 2, "Text 1 is no JSON object: 'the purr'"),
    "a key too few": (["--json-input", '{"title": "the purr"}'], 2, "Text 1 lacks a column"),
    "all null": (["--json-input", '{"title": null, "body": null}'], 3, "Text 1 cannot be answered: null"),
}


@pytest.mark.parametrize("case", PREDICTED)
def test_predict_takes_objects(
    case: str, trained: tuple[Any, Path, pd.DataFrame], capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, code, words = PREDICTED[case]
    assert main(["predict", *arguments, "--model-uri", URI, "--json"]) == code
    shown = capfd.readouterr()
    assert words in shown.out + shown.err
