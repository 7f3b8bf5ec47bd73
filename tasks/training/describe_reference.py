"""Held-out rows -> what later batches are compared with: stored with the version, not loaded by what serves it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from prefect import get_run_logger

from lstm_model.classifier.answers import probability_columns
from lstm_model.classifier.classifier import Classifier
from lstm_model.drift.profile import SUMMARY, ProfileBuilder, Reference
from tasks.runtime import tracking
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run
from tasks.training.export_classifier import VALIDATION_LOGITS
from tasks.training.split_examples import read_rows

CHUNK_ROWS = 10_000  # Bounds memory.


def _report(record: StageRecord, run: Run) -> None:
    tracking.log_file(run, record.file(SUMMARY), "reference")


@stage("reference", report=_report)
def describe_reference(
    folder: Path, classifier: StageRecord, evaluation: StageRecord, splits: StageRecord
) -> dict[str, Any]:
    """Profile the validation and test rows, which the weights were not fitted on; write reference.json and .npz."""
    served = Classifier.load(classifier.folder)
    builder = ProfileBuilder(served.labels, served.encoder)
    answered = pd.read_parquet(evaluation.file("predictions.parquet"))
    test = answered[probability_columns(served.labels)].to_numpy()
    builder.see_answers(served.scale(np.load(classifier.file(VALIDATION_LOGITS))))
    builder.see_answers(test)
    texts = [*read_rows(splits, "validation")["text"], *answered["text"]]
    for first in range(0, len(texts), CHUNK_ROWS):
        builder.see_texts(texts[first : first + CHUNK_ROWS], first_row=first)
    get_run_logger().info("profiled %s held-out rows", f"{len(texts):,}")
    test_right = int((answered["label"] == answered["predicted"]).sum())
    Reference(builder.profile(), test_rows=len(answered), test_right=test_right).save(folder)
    return {"rows": len(texts)}
