"""What flags, header and first rows show is reported once, before Prefect, MLflow or TensorFlow are imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.commands.train import next_commands
from tests.samples import write_tiny_file

HEAVY = ("prefect", "mlflow", "tensorflow", "keras", "great_expectations", "sklearn", "onnxruntime", "matplotlib")
PROBE = f"""
import sys
from flows.cli import main
code = main(sys.argv[1:])
print(code, [name for name in {HEAVY} if name in sys.modules])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny = write_tiny_file(tmp_path / "tiny.csv", rows=66).read_text("utf-8").splitlines()
    (tmp_path / "messages.csv").write_text(
        "\n".join([tiny[0].replace("text", "message").replace("label", "intent"), *tiny[1:]])
    )
    (tmp_path / "cases.csv").write_text("text\nno label\n")
    (tmp_path / "vectors.vec").write_text("owl 0.1 0.2\n")
    (tmp_path / "bad.yaml").write_text("model:\n  lstm_units: 4\n  lstm_units: 8\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("train --data.path messages.csv", 3,
         "has no columns 'text', 'label' (found: 'id', 'message', 'intent'). "
         "Pass --data.text-column message --data.label-column intent."),
        ("tune --data.path messages.csv --data.text-column message", 3, "Pass --data.label-column intent."),
        ("train --data.path tiny.csv --split.group-column author", 3, "has no column 'author'"),
        ("train --data.path tiny.csv --data.text-column label --data.label-column id --evaluation.cases cases.csv", 3,
         "cases.csv"),
        ("train --data.path none.csv", 2, "none.csv: no such file"),
        ("train --data.path tiny.csv --model.word-vectors vectors.vec", 2, "Pass --model.embedding-dim 2"),
        ("train --data.path tiny.csv --config bad.yaml", 2, "bad.yaml as YAML, line 3"),
        ("train --data.path tiny.csv --model.lstm-units zero", 2, "model.lstm-units"),
        ("score none.csv --output scores.csv", 2, "none.csv: no such file"),
        ("score tiny.csv --output tiny.csv", 2, "tiny.csv"),
        ("drift tiny.csv --feedback none.csv", 2, "none.csv: no such file"),
    ],
)  # fmt: skip
def test_it_is_one_sentence_before_anything_starts(arguments: str, code: int, words: str, folder: Path) -> None:
    variables = {**os.environ, "LSTM_TEXT_STATE": str(folder / "state")}
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments.split()],
        env=variables, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stdout == f"{code} []\n", (ended.stdout, ended.stderr[-2_000:])
    assert ended.stderr.count("\n") == 1 and words in ended.stderr
    assert not (folder / "state").exists() or not any((folder / "state").iterdir())


@pytest.mark.parametrize(
    ("name", "champion", "expected"),
    [
        ("text-classifier", "3", ["make ui", "make serve", "lstm-text predict TEXT",
                                  "lstm-text score FILE --output OUT.parquet"]),
        ("intents", "1", ["make ui", "make serve MODEL=intents",
                          "lstm-text predict --model-uri models:/intents@champion TEXT",
                          "lstm-text score --model-uri models:/intents@champion FILE --output OUT.parquet"]),
        ("intents", None, ["make ui"]),
    ],
)  # fmt: skip
def test_the_next_commands_name_the_model_at_hand(
    name: str, champion: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda command: sys.argv[0])
    lines = next_commands(name, champion).splitlines()
    assert lines[0] == "Next:" and [line.strip().split("  ")[0] for line in lines[1:]] == expected
