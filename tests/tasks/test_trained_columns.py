"""A file of texts with the columns of the training needs no flags; another one gets a suggestion."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lstm_model.errors import ContentError, ModelError, UsageError
from tasks.runs import trained_columns
from tasks.runs.trained_columns import TextRequest, columns_to_read

WORDS = "".join(f"{n},a few words of number {n}\n" for n in range(30))


@pytest.mark.parametrize(
    ("header", "text_column", "trained", "expected"),
    [
        ("no,text", "text", "message", {"text": "text"}),
        ("no,message", "text", "message", {"text": "message"}),
        ("id,message", "text", "message", {"id": "id", "text": "message"}),
        ("no,body", "body", "message", {"text": "body"}),
        ("no,body", "text", "message", "Pass --text-column body."),
        ("no,message", "body", "message", "Pass --text-column message."),
        ("no,message", "text", None, "Pass --text-column message."),
    ],
)
def test_the_column_of_the_training_is_read_where_the_file_has_no_text(
    header: str, text_column: str, trained: str | None, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(run_id: str) -> SimpleNamespace:
        if trained is None:
            raise ModelError("There is no run.", "Look.")
        return SimpleNamespace(settings={"data.text_column": trained})

    monkeypatch.setattr(trained_columns.PastRun, "find", find)
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n{WORDS}")
    request = TextRequest(path=path, model_uri="", text_column=text_column, id_column=None)
    if isinstance(expected, dict):
        assert columns_to_read(request, of_model=["text"], run_id="r") == expected
        return
    with pytest.raises(ContentError) as raised:
        columns_to_read(request, of_model=["text"], run_id="r")
    assert str(raised.value).endswith(expected)


@pytest.mark.parametrize(
    ("named", "text_column", "of_model", "columns"),
    [
        (None, "text", ["text"], ["text"]),
        (None, "body", ["text"], ["body"]),
        (None, "text", ["title", "body"], ["title", "body"]),
        (("t", "b"), "text", ["title", "body"], ["t", "b"]),
    ],
)
def test_a_model_of_several_columns_reads_those_of_its_training(
    named: tuple[str, ...] | None, text_column: str, of_model: list[str], columns: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,title,body,t,b\n1,2,3,4,5\n")
    request = TextRequest(path=path, model_uri="", text_column=text_column, text_columns=named, id_column=None)
    assert list(columns_to_read(request, of_model=of_model, run_id="r").values()) == columns


@pytest.mark.parametrize(
    ("named", "text_column", "of_model"),
    [(("a", "b"), "text", ["text"]), (("a", "b", "c"), "text", ["a", "b"]), (None, "body", ["title", "body"])],
)
def test_another_number_of_columns_is_refused(
    named: tuple[str, ...] | None, text_column: str, of_model: list[str]
) -> None:
    request = TextRequest(path=Path("no"), model_uri="", text_column=text_column, text_columns=named, id_column=None)
    with pytest.raises(UsageError, match=rf"The model reads {len(of_model)} text columns"):
        columns_to_read(request, of_model=of_model, run_id="r")
