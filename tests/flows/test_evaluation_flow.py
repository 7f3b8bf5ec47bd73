"""What the evaluation stage writes and logs, on a tiny file through the whole flow. Slow: TensorFlow is loaded."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tokenizers import Tokenizer

from lstm_model.config.data import DataConfig
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.export import ExportConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.ngrams import NgramsConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.digests import digest_text
from lstm_model.tokens.text_encoder import UNK_ID, TextEncoder
from tests.samples import write_tiny_file

pytestmark = pytest.mark.usefixtures("prefect_server", "gate_without_server")
LABELS = ["cat", "dog", "owl"]
WRONG_EVERY = 12  # Rows of cats; their label says owl.


def train(path: Path, **sections: Any) -> Any:
    from flows.training import train_text_classifier

    return train_text_classifier(
        data=DataConfig(path=path),
        tokenization=TokenizationConfig(vocab_size=200, max_length=20),
        model=ModelConfig(embedding_dim=8, lstm_units=4),
        training=TrainingConfig(epochs=4, batch_size=16, learning_rate=0.01),
        registration=RegistrationConfig(model_name="evaluated"),
        **sections,
    )


def download(outcome: Any, name: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path=f"evaluation/{name}"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny file with a column `source`, partly empty, and some labels wrong; beside it cases, one of them hard."""
    path = tmp_path_factory.mktemp("evaluated") / "tiny.csv"
    frame = pd.read_csv(write_tiny_file(path, rows=300), dtype=str)
    frame.loc[::WRONG_EVERY, "label"] = "owl"
    frame["source"] = np.resize(["web", "app", ""], len(frame))
    frame.to_csv(path, index=False)
    path.with_name("tiny.cases.csv").write_text("text,label\npurr meow,cat\npurr purr,dog\n")
    return path


@pytest.fixture(scope="module")
def outcome(prefect_server: None, gate_without_server: None, path: Path) -> Any:
    return train(path, evaluation=EvaluationConfig(slice_column="source"))


@pytest.fixture(scope="module")
def evaluation(outcome: Any) -> dict[str, Any]:
    return json.loads(download(outcome, "evaluation.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def predictions(outcome: Any) -> pd.DataFrame:
    return pd.read_parquet(download(outcome, "predictions.parquet"))


def test_predictions_hold_a_row_for_each_test_row_in_the_order_of_the_file(
    predictions: pd.DataFrame, path: Path
) -> None:
    assert list(predictions) == [
        "example_id", "text", "text_digest", "label", "slice", "tokens", "unknown_rate", "predicted", "score",
        "probability_cat", "probability_dog", "probability_owl", "baseline_predicted",
    ]  # fmt: skip
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("id").loc[predictions["example_id"]]
    assert rows.index.str[1:].astype(int).is_monotonic_increasing
    assert list(predictions["text"]) == list(rows["text"]) and list(predictions["slice"]) == list(rows["source"])
    assert list(predictions["text_digest"]) == [digest_text(text) for text in rows["text"]]
    assert set(predictions["tokens"]) == {7}  # the purr came at 3 and left
    assert predictions["unknown_rate"].isin([0.0, 1 / 7]).all()  # Of numbers, most are new.
    assert set(predictions["baseline_predicted"]) <= set(LABELS)


def test_they_are_what_the_registered_version_answers(predictions: pd.DataFrame, outcome: Any) -> None:
    answers = mlflow.pyfunc.load_model(f"models:/evaluated/{outcome.version}").predict(predictions[["text"]])
    columns = [name for name in predictions if name.startswith("probability_")]
    assert list(answers["label"]) == list(predictions["predicted"])
    np.testing.assert_allclose(answers[columns], predictions[columns], rtol=0, atol=1e-6)


def test_the_evaluation_says_everything_the_gate_and_the_report_need(
    evaluation: dict[str, Any], predictions: pd.DataFrame
) -> None:
    assert list(evaluation) == [
        "labels", "candidate", "intervals", "guessing", "baseline", "parts", "coverage", "calibration", "slices",
        "behaviour", "mistakes", "label_errors",
    ]  # fmt: skip
    right = predictions["label"] == predictions["predicted"]
    assert evaluation["candidate"]["accuracy"] == right.mean() and len(evaluation["mistakes"]) == (~right).sum()
    assert evaluation["baseline"]["accuracy"] == (predictions["label"] == predictions["baseline_predicted"]).mean()
    assert evaluation["baseline"]["seconds"] > 0 and set(evaluation["baseline"]["f1"]) == set(LABELS)
    assert {row["bucket"]: row["rows"] for row in evaluation["slices"] if row["slice"] == "source"} == {
        value or "(none)": count for value, count in predictions["slice"].value_counts().items()
    }
    assert [check["change"] for check in evaluation["behaviour"]["invariance"]] == [
        "upper case", "lower case", "final punctuation added", "final punctuation removed", "trailing space",
    ]  # fmt: skip
    cases = evaluation["behaviour"]["cases"]
    assert (cases["file"], cases["rows"]) == ("tiny.cases.csv", 2)
    assert cases["passed"] + len(cases["failed"]) == 2 and cases["failed"]  # Purring is cat or dog, not both.


def test_tables_metrics_and_figures_are_in_mlflow(outcome: Any, evaluation: dict[str, Any]) -> None:
    mistakes = pd.read_csv(download(outcome, "mistakes.csv"), keep_default_na=False)
    assert mistakes["example_id"].tolist() == [row["example_id"] for row in evaluation["mistakes"]]
    errors = pd.read_csv(download(outcome, "label_errors.csv"), keep_default_na=False)
    assert list(errors) == ["example_id", "text", "split", "label", "suggested", "probability_of_label",
                            "probability_of_suggested"]  # fmt: skip
    wrong = errors[errors["example_id"].str[1:].astype(int) % WRONG_EVERY == 0]
    assert len(wrong) >= 3 and len(wrong) / len(errors) > 0.8 and set(wrong["suggested"]) == {"cat"}
    metrics = MlflowClient().get_run(outcome.run_id).data.metrics
    assert metrics["test_macro_f1_low"] <= metrics["test_macro_f1"] <= metrics["test_macro_f1_high"]
    assert metrics["baseline_macro_f1"] == evaluation["baseline"]["macro_f1"]
    assert {"slice_accuracy/source/web", "same_label/upper case", "cases_passed", "likely_label_errors"} <= set(metrics)
    assert metrics["export.temperature"] == evaluation["calibration"]["temperature"]


def test_the_unknown_rate_is_a_share_of_the_tokens_of_validation_rows(outcome: Any, path: Path) -> None:
    model = Path(mlflow.artifacts.download_artifacts(f"models:/evaluated/{outcome.version}"))
    encoder = TextEncoder(Tokenizer.from_file(str(next(model.rglob("tokenizer.json")))))
    split = mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path="split/splits.parquet")
    digests = set(pd.read_parquet(split).query("split == 'validation'")["text_digest"])
    texts = [text for text in pd.read_csv(path)["text"] if digest_text(text) in digests]
    found = MlflowClient().get_run(outcome.run_id).data.metrics["tokens.validation_unknown_rate"]
    assert found == pytest.approx(np.mean(encoder.encode(texts)[0] == UNK_ID)) and 0 < found < 1


def test_the_temperature_is_fitted_served_and_can_be_left_out(path: Path) -> None:
    # The LSTM alone: after four epochs it is right, and unsure. The weights of a mixture already say how sure it is.
    settings = {"ngrams": NgramsConfig(words=False, characters=False), "evaluation": EvaluationConfig(baseline=False)}
    fitted, plain = (train(path, export=ExportConfig(calibrate=calibrate), **settings) for calibrate in (True, False))
    answers, found = [], []
    for outcome in (fitted, plain):
        predictions = pd.read_parquet(download(outcome, "predictions.parquet"))
        assert "baseline_predicted" not in predictions and "slice" not in predictions
        answers.append(predictions[[f"probability_{label}" for label in LABELS]].to_numpy())
        found.append(json.loads(download(outcome, "evaluation.json").read_text("utf-8"))["calibration"])
    assert found[0]["kept"] and found[0]["temperature"] != 1.0
    assert (found[1]["temperature"], found[1]["kept"]) == (1.0, False)
    scaled = answers[1] ** (1 / found[0]["temperature"])
    np.testing.assert_allclose(answers[0], scaled / scaled.sum(axis=1, keepdims=True), rtol=0, atol=1e-5)


def test_another_case_is_another_evaluation_of_the_same_classifier(path: Path, outcome: Any, state: Path) -> None:
    cases = path.with_name("tiny.cases.csv")
    before, exported = cases.read_text(), set((state / "stages" / "classifier").iterdir())
    cases.write_text(before + "bark woof,dog\n")
    again = train(path, evaluation=EvaluationConfig(slice_column="source"))
    cases.write_text(before)
    found = json.loads(download(again, "evaluation.json").read_text("utf-8"))["behaviour"]["cases"]
    assert found["rows"] == 3
    assert again.metrics == outcome.metrics and set((state / "stages" / "classifier").iterdir()) == exported
