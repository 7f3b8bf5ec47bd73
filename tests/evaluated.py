"""Registered versions with what a training run leaves behind, made without training: for decisions on them."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from lstm_model.classifier.answers import answer_table
from lstm_model.classifier.classifier import Classifier
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.digests import digest_text
from lstm_model.evaluation.evaluation import evaluate_answers
from tasks.promotion.check_servable import Servability
from tasks.promotion.decide_promotion import Candidate
from tasks.runs.past_run import PastRun
from tests.models import TEXTS

WORDS = ["purr", "bark", "hoot", "meow", "woof", "0", "1", "2", "3", "4", "a", "b"]
ROWS = [f"{first} {second}" for first in WORDS for second in WORDS]  # 144, which random weights answer variously.
BALANCED_SEEDS = (28, 12, 9)  # Of write_classifier: each label is the answer to a good part of ROWS.
SERVABLE = Servability(reason=None, asked=1, cold_start_seconds=None, p95_milliseconds=None)
CONFIG = EvaluationConfig(bootstrap_rounds=200)
LENIENT = PromotionConfig(min_compared_rows=20, min_macro_f1=0, beat_guessing=False, min_class_f1=0)


def answers_of(folder: Path) -> list[str]:
    """Return what the classifier says to ROWS: taken for the truth, it is never wrong."""
    classifier = Classifier.load(folder)
    return [classifier.labels[best] for best in classifier.predict_probabilities(ROWS).argmax(axis=1)]


def register_evaluated(
    folder: Path, name: str, truth: Sequence[str], *, seen: Sequence[str] = (), manifest: bool = True
) -> tuple[str, str]:
    """Register a classifier, without an alias, whose run holds its evaluation on ROWS; return version and run id.

    truth: the label of each row. seen: texts in the train part of its split manifest, beside one of its own.
    """
    from tasks.promotion.register_classifier import log_classifier
    from tasks.runtime.tracking import ensure_experiment

    classifier = Classifier.load(folder)
    evaluation, predictions = _evaluation(classifier, truth)
    split = pd.DataFrame({"text_digest": predictions["text_digest"], "split": "test"})
    for text in (*seen, "a text of its train part"):
        split.loc[len(split)] = [digest_text(text), "train"]
    with mlflow.start_run(experiment_id=ensure_experiment("models-for-tests")) as run:
        mlflow.log_text(PipelineConfig(promotion=LENIENT, evaluation=CONFIG).model_dump_json(), "config.json")
        mlflow.log_dict(evaluation, "evaluation/evaluation.json")
        _log_table(predictions, "evaluation/predictions.parquet")
        if manifest:
            _log_table(split, "split/splits.parquet")
        example = pd.DataFrame({"text": TEXTS[:2]})
        uri = log_classifier(list(folder.iterdir()), example, metadata={"labels": classifier.labels})
    return str(mlflow.register_model(uri, name).version), run.info.run_id


def candidate(name: str, version: str, run_id: str, **changes: Any) -> Candidate:
    """Return the version as the training flow would hand it to the gate; promotion, servable ... may be changed."""
    past = PastRun.find(run_id)
    found = Candidate(name, version, SERVABLE, LENIENT, CONFIG, past.evaluation, past.predictions, past.manifest)
    return replace(found, **changes)


def relabelled(folder: Path, target: Path, labels: Sequence[str]) -> Path:
    """Copy a classifier with other names for its labels."""
    target.mkdir(parents=True)
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    described = json.loads((target / "classifier.json").read_text("utf-8"))
    described |= {"labels": list(labels), "digests": {}}
    (target / "classifier.json").write_text(json.dumps(described), encoding="utf-8")
    return target


def _evaluation(classifier: Classifier, truth: Sequence[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    labels = classifier.labels
    answers = answer_table(classifier.predict_probabilities(ROWS), labels).rename(columns={"label": "predicted"})
    rows = {"example_id": [str(n) for n in range(len(ROWS))], "text": ROWS, "text_digest": map(digest_text, ROWS)}
    known = [label if label in labels else labels[0] for label in truth]
    table = pd.concat([pd.DataFrame({**rows, "label": known}), answers], axis=1)
    return {"labels": labels, **evaluate_answers(table, labels=labels, config=CONFIG)}, table


def _log_table(table: pd.DataFrame, artifact: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(artifact).name
        table.to_parquet(path, index=False)
        mlflow.log_artifact(str(path), str(Path(artifact).parent))
