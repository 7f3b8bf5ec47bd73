"""Columns that are missing or hold something else: the message suggests those whose values look right."""

from pathlib import Path

import pandas as pd
import pytest

from lstm_model.config.data import DataConfig
from lstm_model.data.columns import check_columns, check_labels, suggest_columns, text_columns
from lstm_model.errors import ContentError

PLAY = (
    "the striker scored a late goal",
    "a late goal won the final",
    "the striker missed the final",
    "two goals won it",
)
BANK = (
    "the bank raised its rates",
    "higher rates hurt the bank",
    "its profit fell with rates",
    "a bank cut its profit",
)
COUNT = 240
WORDS = [f"{(PLAY, BANK)[number % 2][number % 4]} on day {number * 37}" for number in range(COUNT)]
KINDS = [("sports", "business")[number % 2] for number in range(COUNT)]
CHINESE = [f"{('球队赢得决赛', '银行上调利率')[number % 2]}{chr(0x4E00 + number * 7)}天" for number in range(COUNT)]
NOTES = [f"a note {number}" for number in range(COUNT)]
NOISE = {
    "created_at": [f"2024-03-{1 + number % 28:02} 10:{number % 60:02}" for number in range(COUNT)],
    "channel": [("web", "mail", "app")[number * number % 3] for number in range(COUNT)],
    "user": [f"user-{number % 50}" for number in range(COUNT)],
    "url": [f"https://example.com/a/b/{number}" for number in range(COUNT)],
    "amount": [f"{number * 1.7:.2f}" for number in range(COUNT)],
    "const": ["en"] * COUNT,
    "empty": [None] * COUNT,
}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"message": WORDS, "intent": KINDS}, {"text": "message", "label": "intent"}),
        ({"intent": KINDS, "message": WORDS}, {"text": "message", "label": "intent"}),
        ({"a": WORDS, "b": KINDS, **NOISE}, {"text": "a", "label": "b"}),  # By values alone.
        ({**NOISE, "x1": CHINESE, "x2": KINDS}, {"text": "x1", "label": "x2"}),
        ({"a": WORDS, "b": [str(len(kind) % 5) for kind in KINDS]}, {"text": "a", "label": "b"}),  # Numbers as labels.
        ({"a": WORDS, "b": KINDS, "c": (["train"] * 3 + ["dev"]) * 60}, {"text": "a", "label": "b", "split": "c"}),
        ({"title": NOTES, "body": WORDS, "kind": KINDS}, {"text": "body", "label": "kind"}),
        ({"a": WORDS, "language": KINDS, "topic": [kind[::-1] for kind in KINDS]}, {"text": "a", "label": "topic"}),
        ({"a": NOISE["amount"], "b": NOISE["created_at"]}, {}),
        ({"a": NOISE["empty"]}, {}),
    ],
    ids=[
        "names", "order", "values", "chinese", "numbers", "split", "two texts", "language", "no text", "empty",
    ],
)  # fmt: skip
def test_the_columns_whose_values_look_right_are_suggested(
    columns: dict[str, list[str]], expected: dict[str, str]
) -> None:
    assert suggest_columns(pd.DataFrame(columns, dtype=object)) == expected


@pytest.mark.parametrize(
    ("settings", "others", "message"),
    [
        ({}, {}, "rows.csv has no columns 'text', 'label' (found: 'no', 'message', 'the intent'). "
                 "Pass --data.text-column message --data.label-column 'the intent'."),
        ({"text_column": "message"}, {}, "rows.csv has no column 'label' (found: 'no', 'message', 'the intent'). "
                                         "Pass --data.label-column 'the intent'."),
        ({"text_column": "message", "label_column": "the intent", "id_column": "key"}, {},
         "rows.csv has no column 'key' (found: 'no', 'message', 'the intent'). "
         "Name the right column with --data.id-column."),
        ({"text_columns": ("title", "body"), "label_column": "kind"}, {},
         "rows.csv has no columns 'title', 'body', 'kind' (found: 'no', 'message', 'the intent'). "
         "Pass --data.label-column 'the intent', and name the right column with --data.text-columns."),
        ({"text_column": "message", "label_column": "the intent"}, {"slice": "a", "group": "b", "time": "c"},
         "rows.csv has no columns 'a', 'b', 'c' (found: 'no', 'message', 'the intent'). Name the right column with "
         "--evaluation.slice-column and --split.group-column and --split.time-column."),
    ],
)  # fmt: skip
def test_a_missing_column_is_named_with_the_flag_that_fixes_it(
    settings: dict[str, object], others: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = [str(number) for number in range(COUNT)]
    pd.DataFrame({"no": numbers, "message": WORDS, "the intent": KINDS}).to_csv("rows.csv", index=False)
    with pytest.raises(ContentError) as raised:
        check_columns(DataConfig(path=Path("rows.csv"), **settings), others)
    assert str(raised.value) == message


def test_a_file_sorted_by_label_gets_the_same_suggestion(tmp_path: Path) -> None:
    rows = pd.DataFrame({"message": WORDS, "intent": KINDS}).sort_values("intent")
    pd.concat([rows[:120]] * 50 + [rows[120:]] * 50).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ContentError, match=r"Pass --data.label-column intent"):
        check_columns(DataConfig(path=tmp_path / "rows.csv", text_column="message"), {})


@pytest.mark.parametrize("content", ["a,b\n", "a,b\n1,2\n"])
def test_a_file_that_shows_nothing_gets_no_suggestion(content: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(ContentError, match=r"Name the right column with --data.text-column and --data.label-column"):
        check_columns(DataConfig(path=tmp_path / "rows.csv"), {})


def test_nested_values_in_a_column_that_nobody_needs_end_without_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"message": "some words here", "extra": {"a": [1, 2]}}\n' * 3)
    with pytest.raises(ContentError, match=r"has no columns 'text', 'label' .*Name the right column"):
        check_columns(DataConfig(path=tmp_path / "rows.jsonl"), {})


@pytest.mark.parametrize(("label", "refused"), [("message", True), ("no", True), ("intent", False)])
def test_a_label_column_whose_values_all_differ_is_refused_with_the_one_that_looks_right(
    label: str, refused: bool, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    pd.DataFrame({"no": range(COUNT), "message": WORDS, "intent": KINDS}).to_csv(path, index=False)
    config = DataConfig(path=path, text_column="message" if label != "message" else "no", label_column=label)
    if not refused:
        check_labels(config)
        return
    with pytest.raises(ContentError, match=rf"'{label}' of .* has 240 different values .*--data.label-column intent"):
        check_labels(config)
    check_labels(config.model_copy(update={"drop_rare_labels": True}))


def test_the_columns_to_read_are_those_that_the_settings_name_and_id(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,key,title,body,label\n1,2,3,4,5\n")
    settings = DataConfig(path=path, text_column="body", label_column="label", id_column="key")
    assert check_columns(settings, {}) == {"text": "body", "label": "label", "example_id": "key"}
    assert "example_id" not in check_columns(settings.model_copy(update={"id_column": "none"}), {})
    several = DataConfig(path=path, text_columns=("title", "body"))
    assert list(check_columns(several, {}).values()) == ["title", "body", "label", "id"]


@pytest.mark.parametrize(
    ("names", "id_column", "remedy"),
    [
        (["text"], None, "Pass --text-column message."),
        (["text"], "key", "Name the right ones with --text-column and --id-column."),
        (["title", "body"], None, "Name the right ones with --text-columns and --id-column."),
        (["body", "title"], None, "Name the right ones with --text-columns and --id-column."),
    ],
)
def test_a_file_of_texts_without_the_column_gets_a_suggestion(
    names: list[str], id_column: str | None, remedy: str, tmp_path: Path
) -> None:
    pd.DataFrame({"no": range(COUNT), "message": WORDS}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ContentError) as raised:
        text_columns(tmp_path / "rows.csv", names, id_column)
    assert str(raised.value).endswith(f"(found: 'no', 'message'). {remedy}")
