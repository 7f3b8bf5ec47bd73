"""Bad input: what was expected, what was found, what to do, the right exit code, nothing registered, no traceback."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from flows.cli import main
from tasks.runtime.state.local_state import stages_root
from tasks.training import load_examples
from tests.samples import write_tiny_file

pytestmark = pytest.mark.usefixtures("prefect_server")
HEADER = "id,text,label\n"


def rows(*lines: str) -> str:
    return HEADER + "".join(f"{line}\n" for line in lines)


def good(count: int = 12) -> list[str]:
    return [
        f"r{n},a text about {'cats' if n % 2 else 'dogs'} number {n},{'cat' if n % 2 else 'dog'}" for n in range(count)
    ]


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def parquet_bytes() -> bytes:
    return pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).to_parquet()


# name of the file, contents, exit code, words that the message must hold
CASES: dict[str, tuple[str, bytes | str, int, list[str]]] = {
    "empty": ("a.csv", "", 3, ["header line", "empty file"]),
    "header only": ("a.csv", HEADER, 3, ["a.csv has a header only and no rows"]),
    "wrong columns": ("a.csv", "id,body,class\n1,x,y\n", 3, ["'text'", "'body'", "--data.text-column"]),
    "no column named": ("a.csv", "headline,category\nx,y\n", 3, ["'text'", "'headline'", "--data.label-column"]),
    "one class": ("a.csv", rows(*[f"r{n},text {n},cat" for n in range(9)]), 3, ["between 2 and", "'cat'"]),
    "a class with one row": ("a.csv", rows(*good(), "x,lonely,owl"), 3, ["'owl' (1). ", "--data.drop-rare-labels"]),
    "NUL bytes": ("a.csv", rows(*good(), "x,nul \x00 inside,cat"), 3, ["text_has_no_nul (1)"]),
    "invalid UTF-8": ("a.csv", rows(*good()).encode() + b"x,caf\xe9,cat\n", 3, ["UTF-8", "0xe9", "line 14"]),
    "truncated Parquet": ("a.parquet", truncated(parquet_bytes()), 3, ["complete Parquet file", "again"]),
    "truncated gzip": ("a.csv.gz", truncated(gzip.compress(os.urandom(9_000).hex().encode())), 3, ["complete gzip"]),
    "label and text swapped": (
        "a.csv", rows(*[f"r{n},{'cat' if n % 2 else 'dog'},a text number {n}" for n in range(12)]), 3,
        ["labels that repeat", "swapped"],
    ),
    "blank text and label": (
        "a.csv", rows(*good(), "x,  ,cat", "y,fine,"), 3,
        ["2 bad rows among 14 (text_is_long_enough (1), label_is_given (1)), but at most 1.0% may be set aside"],
    ),
    "one text with two labels": ("a.csv", rows(*good(), "x,same,cat", "y,same,dog"), 3, ["text_has_one_label (2)"]),
    "a page instead of a file": ("a.csv", b"<!DOCTYPE html>", 3, ["a.csv is an HTML page", "Download"]),
    "no header": ("a.csv", rows(*good())[len(HEADER) :], 3, ["no header?", "--data.header text,label"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_data_is_refused_with_a_message_and_nothing_registered(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    name, contents, code, words = CASES[case]
    path = tmp_path / name
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    assert main(["train", "--data.path", str(path), "--registration.model-name", "refused"]) == code
    message = capfd.readouterr().err
    last = message.strip().splitlines()[-1]
    assert last.startswith("lstm-text: ")
    assert [word for word in words if word not in last] == []
    assert [record for record in caplog.records if record.exc_info] == []  # Prefect would log a traceback.
    assert mlflow.MlflowClient().search_registered_models("name = 'refused'") == []


USAGE: dict[str, tuple[list[str], list[str]]] = {
    "missing file": (["--data.path", "nowhere.csv"], ["nowhere.csv", "no such file"]),
    "max_length 0": (["--tokenization.max-length", "0"], ["tokenization.max-length", "'0'"]),
    "unknown flag": (["--model.lstm-unit", "3"], ["--model.lstm-unit"]),
    "negative epochs": (["--training.epochs", "-3"], ["training.epochs", "'-3'"]),
    "fractions over one": (["--split.test-fraction", "0.95"], ["below 1"]),
    "a config file that is missing": (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
    "word vectors that are missing": (["--model.word-vectors", "nowhere.vec"], ["nowhere.vec", "no such file"]),
    "word vectors of another width": (["--model.word-vectors", "{vectors}"], ["2 numbers", "--model.embedding-dim 2"]),
    "word vectors for parts of words": (
        ["--model.word-vectors", "{vectors}", "--tokenization.kind", "bpe"],
        ["needs tokenization.kind=word"],
    ),
    "a cases file that is missing": (["--evaluation.cases", "nowhere.csv"], ["nowhere.csv", "no such file"]),
}


@pytest.mark.parametrize("case", USAGE)
def test_bad_usage_exits_with_2_and_names_the_setting(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, words = USAGE[case]
    (tmp_path / "v").write_text("the 1 2\n")
    assert main(["train", *(argument.replace("{vectors}", str(tmp_path / "v")) for argument in arguments)]) == 2
    message = capfd.readouterr().err
    assert [word for word in words if word not in message] == [] and "Traceback" not in message


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--evaluation.slice-column", "region"], ["column 'region'", "'id', 'text', 'label'", "slice-column"]),
        (["--evaluation.cases", "{folder}/cases.csv"], ["Row 2 of", "'cow' for 'moo'", "'cat', 'dog', 'owl'"]),
    ],
)
def test_what_the_evaluation_will_need_is_checked_before_anything_is_trained(
    flags: list[str], words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny_file(tmp_path / "a.csv")
    (tmp_path / "cases.csv").write_text("text,label\npurr,cat\nmoo,cow\n")
    flags = [flag.replace("{folder}", str(tmp_path)) for flag in flags]
    assert main(["train", "--data.path", str(path), *flags]) == 3
    message = capfd.readouterr().err.strip().splitlines()[-1]
    assert [word for word in words if word not in message] == []
    run = mlflow.search_runs(experiment_names=["lstm-text"], order_by=["start_time DESC"]).iloc[0]
    assert run["status"] == "FAILED"
    assert "seconds.split_examples" not in mlflow.MlflowClient().get_run(run["run_id"]).data.metrics


def test_an_unknown_key_in_the_config_file_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("training: {epoch: 3}\n")
    assert main(["train", "--config", str(path)]) == 2
    assert "training.epoch: unknown setting" in capfd.readouterr().err


def test_bad_rows_are_listed_with_id_rule_and_value(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(rows(*good(), "x17,,cat"))
    assert main(["train", "--data.path", str(path)]) == 3
    listed = Path(capfd.readouterr().err.split("listed in ")[1].split(",")[0])
    table = pd.read_csv(listed, dtype=str, keep_default_na=False)
    assert table.to_dict("records") == [
        {"row": "13", "example_id": "x17", "rule": "text_is_long_enough", "value": "''"}
    ]


def test_a_refused_run_is_failed_and_says_why() -> None:
    run = mlflow.search_runs(experiment_names=["lstm-text"], order_by=["start_time DESC"]).iloc[0]
    assert run["status"] == "FAILED" and "has 1 bad rows among 13 " in run["tags.failure_reason"]


BAD_ROWS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "stop": (["x,,cat"], ["--data.on-bad-rows", "stop"], ["1 bad rows: text_is", "--data.on-bad-rows quarantine"]),
    "ids that were asked for": (
        ["r1,another text,cat"],
        ["--data.id-column", "id"],
        ["id_is_unique (2)", "--data.id-column none"],
    ),
    "a label that loses its rows": (
        ["a,same,owl", "b,same,cat"],
        ["--data.max-bad-fraction", "0.5"],
        ["'owl' (0, 1 with bad rows)"],
    ),
    "spellings": (["x,one,Cat", "y,two,Cat"], [], ["'Cat' (2)", "merge spellings with --data.clean-labels"]),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_rows_that_must_not_be_set_aside_are_refused_with_what_helps(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines, flags, words = BAD_ROWS[case]
    path = tmp_path / "a.csv"
    path.write_text(rows(*good(), *lines))
    assert main(["train", "--data.path", str(path), *flags]) == 3
    message = capfd.readouterr().err.strip().splitlines()[-1]
    assert [word for word in words if word not in message] == []


AGAIN = {
    "bad rows": (["x,,cat"], []),
    "a label with one text": (["x,lonely,owl"], []),
    "a rule for the whole table": ([f"{n},text {n},label {n}" for n in range(30)], []),
    "bad rows and none allowed": (["x,,cat", "y,,dog"], ["--data.on-bad-rows", "stop"]),
    "on schedule": (["x,nul \x00,cat"], ["--trigger", "schedule"]),
}


@pytest.mark.parametrize("case", AGAIN)
def test_the_same_command_again_is_refused_in_the_same_words(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines, flags = AGAIN[case]
    path = tmp_path / "a.csv"
    path.write_text(rows(*good(13), *lines))
    messages = []
    for _ in range(3):
        assert main(["train", "--data.path", str(path), *flags]) == 3
        messages.append(capfd.readouterr().err.strip().splitlines()[-1])
    assert messages[0].startswith("lstm-text: ") and len(set(messages)) == 1


def test_a_file_that_grows_while_it_is_read_is_refused_and_nothing_of_it_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_file(tmp_path / "a.csv", rows=69)
    monkeypatch.setattr(load_examples, "read_chunks", growing(load_examples.read_chunks, path))
    before = set((stages_root() / "raw").glob("*"))
    assert main(["train", "--data.path", str(path)]) == 3
    assert "changed while it was read" in capfd.readouterr().err
    assert set((stages_root() / "raw").glob("*")) == before


def growing(read_chunks: Callable[..., Any], path: Path) -> Callable[..., Any]:
    """Return a reader that finds one row more at the end than the file had when it was opened."""

    def read(*arguments: Any, **options: Any) -> Any:
        for number, chunk in enumerate(read_chunks(*arguments, **{**options, "chunk_rows": 10})):
            if number == 0:
                with path.open("a") as file:
                    file.write("late,a late row,cat\n")
            yield chunk

    return read


def test_a_model_that_does_not_exist_exits_with_4_and_says_what_does(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "text", "--model-uri", "models:/nowhere@champion"]) == 4
    assert "models:/nowhere@champion" in capfd.readouterr().err


@pytest.mark.parametrize(
    "prepare", [lambda folder: folder / "exists.parquet", lambda folder: folder / "no" / "x.parquet"]
)
def test_an_output_that_cannot_be_written_exits_with_2(
    prepare: Callable[[Path], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exists.parquet").write_bytes(b"keep me")
    source = write_tiny_file(tmp_path / "in.csv")
    assert main(["score", str(source), "--output", str(prepare(tmp_path))]) == 2
    assert (tmp_path / "exists.parquet").read_bytes() == b"keep me"
    assert "Traceback" not in capfd.readouterr().err


def test_an_output_that_is_the_input_exits_with_2_and_leaves_it_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write_tiny_file(tmp_path / "in.csv")
    before = source.read_bytes()
    (tmp_path / "link.csv").symlink_to(source)
    assert main(["score", str(source), "--output", str(tmp_path / "link.csv"), "--overwrite"]) == 2
    assert "is part of the input" in capfd.readouterr().err
    assert source.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_an_output_folder_that_is_read_only_exits_with_2(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # /proc refuses new files even for root, whom a folder's permissions do not stop.
    source = write_tiny_file(tmp_path / "in.csv")
    assert main(["score", str(source), "--output", "/proc/out.parquet"]) == 2
    assert "is not writable" in capfd.readouterr().err


def test_json_is_the_last_line_of_stdout(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_file(tmp_path / "tiny.csv")
    tiny = ["--training.epochs", "1", "--model.embedding-dim", "8", "--model.lstm-units", "4"]
    tiny += ["--promotion.min-macro-f1", "0", "--no-promotion.beat-guessing"]
    assert main(["train", "--data.path", str(path), "--registration.model-name", "cli", *tiny, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert {
        "run_id",
        "version",
        "promoted",
        "decision",
        "reason",
        "rules",
        "metrics",
        "rows",
        "seconds",
    } <= answer.keys()
    assert main(["predict", "purr, purr", "", "--model-uri", "models:/cli@champion", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out.strip().splitlines()[-1])["answers"]) == 2
