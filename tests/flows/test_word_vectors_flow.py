"""A training that starts from word vectors. Slow: TensorFlow and Great Expectations are loaded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from flows.cli import main
from lstm_model.config.data import DataConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.errors import ContentError
from tasks.registry.registered_model import download_version
from tests.samples import write_tiny_file

pytestmark = pytest.mark.usefixtures("prefect_server", "gate_without_server")
VECTORS = "purr 1 2 3\nBark 4 5 6\nelsewhere 7 8 9\n"
Train = Callable[..., Any]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    from flows.training import train_text_classifier

    path = write_tiny_file(tmp_path / "tiny.csv", rows=72)

    def run(vectors: Path, **model: Any) -> Any:
        outcome = train_text_classifier(
            data=DataConfig(path=path),
            model=ModelConfig(embedding_dim=3, lstm_units=4, word_vectors=vectors, **model),
            training=TrainingConfig(epochs=2, batch_size=16),
            registration=RegistrationConfig(model_name="vectors"),
        )
        return MlflowClient().get_run(outcome.run_id).data, outcome

    return run


def test_training_starts_from_the_vectors_again_only_if_they_change_and_a_rerun_notices(
    train: Train, tmp_path: Path, state: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras
    from tokenizers import Tokenizer

    vectors, folder = tmp_path / "vectors.txt", state / "stages" / "trained"
    vectors.write_text(VECTORS)
    data, outcome = train(vectors, tune_word_vectors=False)
    assert "vectors.txt has vectors for 2 words of the vocabulary" in caplog.text
    assert 0 < data.metrics["word_vectors.vocabulary_share"] < 0.1 and len(data.tags["word_vectors_digest"]) == 64
    assert data.metrics["word_vectors.token_share"] == pytest.approx(2 / 9 / 7, abs=0.01)  # 7 tokens a row.
    served = download_version("vectors", outcome.version).folder
    vocab = Tokenizer.from_file(str(served / "tokenizer.json")).get_vocab()
    table = keras.saving.load_model(served / "model.keras", compile=False).get_layer("embedding").get_weights()[0]
    np.testing.assert_array_equal(table[[vocab["purr"], vocab["bark"]]], [[1, 2, 3], [4, 5, 6]])
    assert str(tmp_path) not in (served / "classifier.json").read_text()

    trained = set(folder.iterdir())
    shutil.copyfile(vectors, tmp_path / "copy.txt")
    again, _ = train(tmp_path / "copy.txt", tune_word_vectors=False)
    assert set(folder.iterdir()) == trained
    assert {name: again.metrics[name] for name in data.metrics if "vectors." in name} == {
        name: value for name, value in data.metrics.items() if "vectors." in name
    }
    vectors.write_text(VECTORS.replace("1 2 3", "1 2 4"))
    edited, _ = train(vectors, tune_word_vectors=False)
    assert len(set(folder.iterdir()) - trained) == 1
    assert edited.tags["word_vectors_digest"] != data.tags["word_vectors_digest"]

    assert main(["reproduce", outcome.run_id]) == 5  # Before anything runs.
    message = capsys.readouterr().err
    assert f"{vectors} has SHA-256" in message and "--word-vectors" in message


def test_vectors_without_a_word_of_the_texts_end_the_run_before_it_trains(train: Train, tmp_path: Path) -> None:
    (tmp_path / "v").write_text("ailleurs 1 2 3\n")
    with pytest.raises(ContentError, match=r"None of the 1 words in .* is in the vocabulary"):
        train(tmp_path / "v")
    run = mlflow.search_runs(experiment_names=["lstm-text"], order_by=["start_time DESC"]).iloc[0]
    assert run["status"] == "FAILED" and "None of the 1 words" in run["tags.failure_reason"]
