"""`lstm-text reproduce` on a tiny training. Slow: a rerun is a process that loads TensorFlow and Great Expectations."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from mlflow import MlflowClient

from flows.cli import main
from lstm_model.config.data import DataConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.config.training import TrainingConfig
from tests.samples import write_tiny_file

Recorded = tuple[str, Path]


@pytest.fixture(scope="module")
def recorded(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run with what is hard to write down as a param: labels, a split column, rows set aside."""
    from flows.training import train_text_classifier

    path = write_tiny_file(tmp_path_factory.mktemp("recorded") / "tiny.csv", rows=66)
    lines = path.read_text().splitlines()
    parts = ["part", *("test" if number % 10 > 7 else "train" for number in range(66))]
    rows = [f"{line},{part}" for line, part in zip(lines, parts, strict=True)]
    path.write_text("\n".join([*rows, "r66,,cat,train"]) + "\n")
    outcome = train_text_classifier(
        data=DataConfig(path=path, split_column="part", labels=("cat", "dog", "owl"), max_bad_fraction=0.02),
        tokenization=TokenizationConfig(vocab_size=200, max_length=20),
        model=ModelConfig(embedding_dim=8, lstm_units=4),
        training=TrainingConfig(epochs=2, batch_size=16),
        registration=RegistrationConfig(model_name="reproduced"),
    )
    return outcome.run_id, path


@pytest.fixture(autouse=True)
def nothing_is_written(
    recorded: Recorded, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Neither runs, versions nor stages are added, and no temporary folder stays behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def everything() -> list[Any]:
        runs = MlflowClient().search_runs([e.experiment_id for e in MlflowClient().search_experiments()])
        versions = MlflowClient().search_model_versions("name = 'reproduced'")
        return [len(runs), len(versions), sorted((state / "stages").glob("*/*")), list(scratch.iterdir())]

    before = everything()
    yield
    assert everything() == before


@pytest.fixture
def config(recorded: Recorded) -> Iterator[Path]:
    """The recorded settings in the artifact store, put back after the test."""
    artifacts = urlparse(MlflowClient().get_run(recorded[0]).info.artifact_uri)
    file = Path(artifacts.path) / "config.json"
    kept = file.read_text()
    yield file
    file.write_text(kept)


def test_the_same_code_and_data_give_the_same_bits(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copyfile(recorded[1], tmp_path / "copy" / "part-1")  # A folder of one file has its contents.
    assert main(["reproduce", recorded[0], "--data-path", str(tmp_path / "copy"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["equal"] and answer["run_id"] == recorded[0] and answer["notes"] == []
    assert [item["name"] for item in answer["items"]] == [
        "data", "settings", "code", "lock", "split", "metrics", "predictions",
    ]  # fmt: skip


def test_an_edited_seed_other_code_and_another_device_are_named(
    recorded: Recorded, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = json.loads(config.read_text())
    edited["training"]["seed"] = 7
    edited["ngrams"] = {"words": False, "characters": False}  # They answer these texts alike for any seed.
    config.write_text(json.dumps(edited))
    tags = MlflowClient().get_run(recorded[0]).data.tags
    edited_tags = {"code_digest": "0" * 64, "device": "Some GPU"}
    for name, value in edited_tags.items():
        MlflowClient().set_tag(recorded[0], name, value)
    try:
        assert main(["reproduce", recorded[0]]) == 5
    finally:
        for name in edited_tags:
            MlflowClient().set_tag(recorded[0], name, tags[name])
    told = capsys.readouterr()
    assert "differs in settings, code, metrics, predictions." in told.err
    table = told.out.splitlines()
    settings = [line.split() for line in table if "training.seed" in line]
    assert [words[-2:] for words in settings] == [["training.seed", "42"], ["training.seed", "7"]]
    assert settings[1][0] == "here"
    assert "0" * 64 in told.out and tags["code_digest"] in told.out
    assert "note: device was Some GPU, here CPU\nnote: only trainings on a CPU are equal" in told.out
    assert any(line.startswith("data        equal") for line in table)


def test_edited_data_is_named_before_anything_runs(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    text = recorded[1].read_text()
    recorded[1].write_text(text.replace("came at 59", "went at 59"))
    try:
        assert main(["reproduce", recorded[0]]) == 5
    finally:
        recorded[1].write_text(text)
    assert f"{recorded[1]} has SHA-256" in capsys.readouterr().err


def test_data_that_is_gone_is_told(recorded: Recorded, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["reproduce", recorded[0], "--data-path", str(tmp_path / "gone.csv")]) == 2
    assert "Name it with --data-path" in capsys.readouterr().err


def test_an_unknown_run_is_told(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "0" * 32]) == 4
    assert f"There is no run {'0' * 32}" in capsys.readouterr().err


def test_a_run_without_its_settings_is_told(
    recorded: Recorded, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.unlink()
    assert main(["reproduce", recorded[0]]) == 4
    assert "has no config.json that this release can read" in capsys.readouterr().err


def test_settings_that_this_version_does_not_know_are_told(
    recorded: Recorded, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace('"lstm_units"', '"units"'))
    assert main(["reproduce", recorded[0]]) == 4
    told = capsys.readouterr().err
    assert "model.units: Extra inputs are not permitted" in told and "check out commit" in told


def test_a_run_that_failed_is_refused(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    client = MlflowClient()
    failed = client.create_run(client.get_run(recorded[0]).info.experiment_id)
    client.set_tag(failed.info.run_id, "failure_reason", "out of rows")
    client.set_terminated(failed.info.run_id, "FAILED")
    try:
        assert main(["reproduce", failed.info.run_id]) == 4
    finally:
        client.delete_run(failed.info.run_id)
    assert "has status FAILED: out of rows" in capsys.readouterr().err
