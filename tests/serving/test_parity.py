"""One text, one answer: Keras, the library, the batch flow, `mlflow models predict` and HTTP. Slow: a server starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import requests

from lstm_model.classifier.classifier import LSTM, Classifier, mix, softmax
from lstm_model.ngrams.ngram_model import NgramModel
from lstm_model.tokens.encoded_rows import pad_batch
from tests.models import LABELS, TEXTS, register, write_classifier
from tests.serving.servers import wait_for
from tests.team.servers import BIN, free_port, plain_environment, running

Array = npt.NDArray[np.float32]
COLUMNS = [f"probability_{label}" for label in LABELS]
ODD = [
    "",
    "   ",
    "😀🎉",
    "שלום עולם",
    "qzxv wkjq",
    "purr " * 10_000,
    "nul \x00 inside",
    "[PAD] [UNK]",
    "NA",
    "007",
    "\u0301",
]
ROWS = 1_000


def texts() -> list[str]:
    """A thousand rows, odd ones among them, of many lengths and in no order."""
    rng = np.random.default_rng(5)
    words = np.array([*" ".join(TEXTS).split(), "unknown", "wörds", "don't", "x-y"])
    usual = [" ".join(rng.choice(words, rng.integers(1, 90))) for _ in range(ROWS - 4 * len(ODD))]
    mixed = usual + 4 * ODD
    return [mixed[place] for place in rng.permutation(len(mixed))]


@pytest.fixture(scope="module")
def model(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = write_classifier(tmp_path_factory.mktemp("parity") / "classifier")
    register(folder, "parity")
    return folder, "models:/parity@champion"


@pytest.fixture(scope="module")
def expected(model: tuple[Path, str]) -> Array:
    return Classifier.load(model[0]).predict_probabilities(texts())


def assert_equal(found: pd.DataFrame, expected: Array) -> None:
    assert found["label"].tolist() == [LABELS[best] for best in expected.argmax(axis=1)]
    np.testing.assert_allclose(found[COLUMNS].to_numpy(float), expected, rtol=0, atol=1e-5)


def test_the_rows_say_something(expected: Array) -> None:
    assert len(expected) == ROWS and set(expected.argmax(axis=1)) == {0, 1, 2}


def test_keras(model: tuple[Path, str], expected: Array) -> None:
    import keras

    from lstm_model.network.network import WordDropout  # noqa: F401  registers the layers that the file names

    folder, _ = model
    network = keras.saving.load_model(folder / "model.keras")
    classifier = Classifier.load(folder)
    token_ids, offsets = classifier.encoder.encode(texts())
    logits = network.predict(pad_batch(token_ids, offsets, np.arange(ROWS)), verbose=0)
    margins = NgramModel(classifier.ngrams.tables).margins(texts()) if classifier.ngrams else {}
    found = softmax(mix({LSTM: logits, **margins}, classifier.description.mixture))
    assert classifier.description.mixture
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_one_row_at_a_time(model: tuple[Path, str], expected: Array) -> None:
    classifier = Classifier.load(model[0], num_threads=1)
    found = np.concatenate([classifier.predict_probabilities([text]) for text in texts()])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_batch_flow(model: tuple[Path, str], expected: Array, tmp_path: Path) -> None:
    from flows.scoring import score_texts

    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts()))
    score_texts(tmp_path / "in.jsonl", tmp_path / "out.parquet", model_uri=model[1])
    assert_equal(pd.read_parquet(tmp_path / "out.parquet"), expected)


def test_mlflow_models_predict(model: tuple[Path, str], expected: Array, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps({"dataframe_records": [{"text": text} for text in texts()]}))
    command = [f"{Path(sys.executable).parent}/mlflow", "models", "predict", "--model-uri", model[1]]
    command += ["--env-manager", "local", "--content-type", "json"]
    command += ["--input-path", str(tmp_path / "in.json"), "--output-path", str(tmp_path / "out.json")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    subprocess.run(command, env=environment, check=True, timeout=180)
    answers = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert_equal(pd.DataFrame(answers), expected)


def test_mlflow_models_serve(model: tuple[Path, str], expected: Array, tmp_path: Path) -> None:
    rows, port = texts(), free_port()
    address = f"http://127.0.0.1:{port}"
    environment = plain_environment(tmp_path, MLFLOW_TRACKING_URI=mlflow.get_tracking_uri())
    command = [f"{BIN}/mlflow", "models", "serve", "--model-uri", model[1], "--env-manager", "local"]
    with running([*command, "--port", str(port)], environment, tmp_path / "log") as process:
        wait_for(f"{address}/ping", process)
        found = []
        for first in range(0, ROWS, 300):
            body = {"inputs": rows[first : first + 300]}
            response = requests.post(f"{address}/invocations", json=body, timeout=60)
            assert response.status_code == 200, response.text[:500]
            found += response.json()["predictions"]
    assert_equal(pd.DataFrame(found), expected)
