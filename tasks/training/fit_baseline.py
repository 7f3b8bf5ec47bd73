"""The linear baseline's answers to the test rows. It depends on the rows alone: settings fit it no second time."""

import time
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.evaluation.baseline import answer_with_baseline
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, set_tags
from tasks.training.split_examples import read_rows

ANSWERS = "baseline.parquet"


def _report(record: StageRecord, run: Run) -> str:
    name, accuracies = record.facts["name"], record.facts["validation_accuracy"]
    set_tags(run, {"baseline": name})
    return f"{name} is the best on validation rows: accuracy {max(accuracies.values()):.4f}"


@stage("baseline", report=_report)
def fit_baseline(folder: Path, splits: StageRecord) -> dict[str, Any]:
    """Fit linear models on train rows; write the test answers of the one that is best on validation rows."""
    started = time.monotonic()
    train, validation, test = (read_rows(splits, name) for name in ("train", "validation", "test"))
    answers = answer_with_baseline(
        train=(train["text"].tolist(), train["label"].tolist()),
        validation=(validation["text"].tolist(), validation["label"].tolist()),
        texts=test["text"].tolist(),
    )
    pd.DataFrame({"baseline_predicted": answers.labels}).to_parquet(folder / ANSWERS, index=False)
    accuracy, seconds = answers.validation_accuracy, time.monotonic() - started
    return {"name": answers.name, "validation_accuracy": accuracy, "seconds": seconds}
