"""The gate at the end of whole trainings, and the commands that change champions. Slow: networks are trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from lstm_model.config.data import DataConfig
from lstm_model.config.ngrams import NgramsConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.config.split import SplitConfig
from lstm_model.config.training import TrainingConfig
from tasks.promotion.decision_record import read_decisions
from tasks.registry.registered_model import read_aliases
from tests.flows.test_training_flow import train
from tests.samples import write_tiny_file

pytestmark = pytest.mark.usefixtures("prefect_server")
LSTM_ALONE = NgramsConfig(words=False, characters=False)
GOOD = TrainingConfig(epochs=12, batch_size=16, learning_rate=0.02)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 rows of three labels; a third of them test rows, by a column of the file."""
    path = write_tiny_file(tmp_path_factory.mktemp("data") / "rows.csv", rows=240)
    frame = pd.read_csv(path, dtype=str)
    frame["part"] = np.where(np.arange(240) // 9 % 3 == 0, "test", "train")
    frame.to_csv(path, index=False)
    return path


# First: in the tests below, the gate starts no server.
def test_promote_rollback_and_history_in_the_terminal(labelled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from flows.cli import main

    train(labelled, "shown", training=GOOD)
    train(labelled, "shown", training=TrainingConfig(epochs=1), ngrams=LSTM_ALONE)
    name = ["--model-name", "shown"]
    assert main(["promote", "2", *name, "--force", "--reason", "a try", "--json"]) == 0
    out = capfd.readouterr().out
    assert "shown version 2 is the champion, forced: a try" in out and "make serve" in out
    assert json.loads(out.strip().splitlines()[-1])["champion_version"] == "2"
    assert main(["rollback", *name, "--reason", "it was worse"]) == 0
    out = capfd.readouterr().out
    assert "shown version 1 is the champion again: it was worse" in out and "champion: 2 -> 1" in out
    assert read_aliases("shown")["champion"] == "1" and read_aliases("shown")["previous"] == "2"
    assert main(["history", *name, "--json"]) == 0
    out = capfd.readouterr().out.strip().splitlines()
    assert out[0] == "4 decisions on shown, oldest first"
    assert [told["kind"] for told in json.loads(out[-1])["decisions"]] == [
        "promoted",
        "rejected",
        "forced",
        "rolled_back",
    ]


@pytest.fixture(scope="module")
def good(prefect_server: None, gate_without_server: None, labelled: Path) -> Any:
    outcome = train(labelled, "gated", data=given_split(labelled), training=GOOD, promotion=PromotionConfig())
    assert outcome.promoted and outcome.metrics["macro_f1"] > 0.9  # The clue words tell the labels apart.
    return outcome


def given_split(path: Path) -> DataConfig:
    return DataConfig(path=path, split_column="part")


def test_the_default_gate_rejects_a_network_that_is_hardly_trained(good: Any, labelled: Path) -> None:
    worse = train(
        labelled,
        "gated",
        data=given_split(labelled),
        training=TrainingConfig(epochs=1, learning_rate=1e-6),
        ngrams=LSTM_ALONE,
        promotion=PromotionConfig(),
    )
    assert worse.decision == "rejected" and worse.champion_version == good.version
    failed = {rule.name for rule in worse.rules if rule.verdict == "failed"}
    assert {"better_than_guessing", "class_drop", "not_worse_than_champion"} <= failed
    decision = read_decisions("gated")[-1]
    run = MlflowClient().get_run(worse.run_id).data.tags
    assert decision["flow_run_id"] == run["prefect.flow_run_id"] and decision["run_id"] == worse.run_id
    assert run["decision"] == "rejected" and run["decision_reason"] == worse.reason


def test_labels_shuffled_in_the_train_rows_are_rejected(good: Any, labelled: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(labelled, dtype=str)
    train_rows = frame["part"] == "train"
    frame.loc[train_rows, "label"] = np.random.default_rng(0).permutation(frame.loc[train_rows, "label"])
    frame.to_csv(tmp_path / "shuffled.csv", index=False)
    outcome = train(
        tmp_path / "shuffled.csv",
        "gated",
        data=given_split(tmp_path / "shuffled.csv"),
        training=GOOD,
        promotion=PromotionConfig(),
    )
    assert outcome.decision == "rejected" and outcome.champion_version == good.version
    assert "not_worse_than_champion" in {rule.name for rule in outcome.rules if rule.verdict == "failed"}


def test_another_split_leaves_out_what_the_champion_was_trained_on(good: Any, labelled: Path) -> None:
    outcome = train(
        labelled,
        "gated",
        data=DataConfig(path=labelled),
        split=SplitConfig(seed=3),
        training=GOOD,
        promotion=PromotionConfig(min_compared_rows=1),
    )
    rule = next(rule for rule in outcome.rules if rule.name == "enough_rows")
    seen = outcome.rows["test"] - int(rule.figure)
    assert seen > 0 and f"{seen} left out" in rule.text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["promote", "1"], 2, "reason: Field required"),
        (["promote", "1", "--force", "--reason", "  "], 2, "reason: "),
        (["promote", "latest", "--reason", "x"], 2, "version: "),
        (["rollback"], 2, "reason: Field required"),
        (["promote", "1", "--model-name", "nowhere", "--reason", "x"], 4, "no model nowhere"),
        (["rollback", "--model-name", "nowhere", "--reason", "x"], 4, "no model nowhere"),
        (["history", "--model-name", "nowhere"], 4, "no model nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_missing_is_told(
    arguments: list[str], code: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from flows.cli import main

    assert main(arguments) == code
    message = capfd.readouterr().err
    assert words in message and "Traceback" not in message
