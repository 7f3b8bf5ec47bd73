"""The candidate predicts the test rows here, once; the gate and every report read what is written."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_model.answers import answer_table
from lstm_model.bootstrap import Resampling, bootstrap, interval
from lstm_model.classifier import Classifier
from lstm_model.config import EvaluationConfig
from lstm_model.digests import digest_text
from lstm_model.figures import plot_confusion, plot_per_class, plot_reliability
from lstm_model.metrics import classification_metrics
from tasks import tracking
from tasks.publishing import Progress, markdown_table, publish_markdown
from tasks.split_examples import read_split
from tasks.stages import StageRecord, read_json, stage, write_json
from tasks.tracking import Run

HEADLINE = ("accuracy", "macro_f1", "log_loss", "calibration_error", "majority_accuracy")
PROGRESS_ROWS = 10_000


def _report(record: StageRecord, run: Run) -> None:
    evaluation = read_json(record.file("evaluation.json"))
    figures = evaluation["candidate"]
    tracking.log_metrics(run, {f"test_{name}": figures[name] for name in (*HEADLINE, "rows")})
    for label, per_class in figures["per_class"].items():
        tracking.log_metrics(
            run, {f"test_{name}/{tracking.label_key(label)}": value for name, value in per_class.items()}
        )
    labels = evaluation["labels"]
    tracking.log_figure(run, plot_confusion(figures["confusion_matrix"], labels), "confusion_matrix")
    tracking.log_figure(run, plot_per_class(figures["per_class"]), "per_class")
    tracking.log_figure(run, plot_reliability(figures["reliability"], figures["calibration_error"]), "reliability")
    for name in ("evaluation.json", "predictions.parquet"):
        tracking.log_file(run, record.file(name), "evaluation")
    publish_markdown("evaluation", evaluation_markdown(evaluation), "How good the candidate is on test rows")


def evaluation_markdown(evaluation: dict[str, Any]) -> str:
    """Return the metrics table."""
    candidate = evaluation["candidate"]
    rows = [[name.replace("_", " "), candidate[name]] for name in HEADLINE]
    classes = [
        [label, figures["precision"], figures["recall"], figures["f1"], figures["support"]]
        for label, figures in candidate["per_class"].items()
    ]
    header = ["test rows: " + f"{candidate['rows']:,}", "candidate"]
    return (
        markdown_table(header, rows) + "\n\n" + markdown_table(["label", "precision", "recall", "F1", "rows"], classes)
    )


@stage("evaluation", report=_report)
def evaluate_classifier(
    folder: Path,
    classifier: StageRecord,
    examples: StageRecord,
    splits: StageRecord,
    config: EvaluationConfig,
) -> dict[str, Any]:
    """Predict the test rows with the candidate; write evaluation.json and predictions.parquet."""
    rows = read_split(examples, splits, "test")
    labels = classifier.facts["labels"]
    label_ids = rows["label"].map(labels.index).to_numpy(np.int64)
    probabilities = _predict(Classifier.load(classifier.folder), rows["text"].tolist(), "candidate")
    candidate = classification_metrics(
        label_ids=label_ids, probabilities=probabilities, labels=labels, calibration_bins=config.calibration_bins
    )
    drawn = bootstrap(
        label_ids=label_ids,
        predictions={"candidate": probabilities.argmax(axis=1)},
        num_classes=len(labels),
        resampling=Resampling(config.bootstrap_rounds, config.bootstrap_seed, config.confidence),
    )["candidate"]
    _predictions(rows, labels, probabilities).to_parquet(folder / "predictions.parquet", index=False)
    evaluation = {
        "labels": labels,
        "candidate": candidate,
        "intervals": {"macro_f1": interval(drawn["macro_f1"], config.confidence)},
        "guessing": {"macro_f1": 1 / len(labels)},
        "baseline": None,
    }
    write_json(folder / "evaluation.json", evaluation)
    return {"metrics": {name: candidate[name] for name in (*HEADLINE, "rows")}}


def _predict(classifier: Classifier, texts: list[str], who: str) -> npt.NDArray[np.float32]:
    progress = Progress(f"evaluate-{who}", f"{who} predicts test rows", total=len(texts), unit="rows")
    parts = []
    for first in range(0, len(texts), PROGRESS_ROWS):
        parts.append(classifier.predict_probabilities(texts[first : first + PROGRESS_ROWS]))
        progress.set(first + len(parts[-1]))
    progress.close(f"{who} predicted {len(texts):,} test rows")
    return np.concatenate(parts)


def _predictions(rows: pd.DataFrame, labels: list[str], probabilities: npt.NDArray[np.float32]) -> pd.DataFrame:
    answers = answer_table(probabilities, labels).rename(columns={"label": "predicted"})
    digests = rows["text"].map(digest_text).rename("text_digest")
    return pd.concat([rows[["example_id", "text"]], digests, rows["label"], answers], axis=1)
