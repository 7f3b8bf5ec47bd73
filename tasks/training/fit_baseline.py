"""The linear baseline's answers to the test rows. It depends on the rows alone: settings fit it no second time."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.evaluation.baseline import answer_with_baseline
from tasks.runtime import tracking
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run
from tasks.training.split_examples import read_texts

ANSWERS = "baseline.parquet"


def _report(record: StageRecord, run: Run) -> None:
    tracking.set_tags(run, {"baseline": record.facts["name"]})


def _headline(facts: dict[str, Any]) -> str:
    return f"{facts['name']} is the best on validation rows: accuracy {max(facts['validation_accuracy'].values()):.4f}"


@stage("baseline", report=_report, headline=_headline)
def fit_baseline(folder: Path, splits: StageRecord) -> dict[str, Any]:
    """Fit linear models on train rows; write the test answers of the one that is best on validation rows."""
    started = time.monotonic()
    labels = np.array(splits.facts["labels"], dtype=object)
    train, validation, test = (read_texts(splits, name) for name in ("train", "validation", "test"))
    answers = answer_with_baseline(
        train=(train[0], labels[train[1]].tolist()),
        validation=(validation[0], labels[validation[1]].tolist()),
        texts=test[0],
    )
    pd.DataFrame({"baseline_predicted": answers.labels}).to_parquet(folder / ANSWERS, index=False)
    accuracy, seconds = answers.validation_accuracy, time.monotonic() - started
    return {"name": answers.name, "validation_accuracy": accuracy, "seconds": seconds}
