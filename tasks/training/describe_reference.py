"""Held-out rows -> the profile that later batches are compared with. It is stored with the version; servers skip it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.classifier.answers import probability_columns
from lstm_model.classifier.classifier import Classifier
from lstm_model.drift.profile import SUMMARY, ProfileBuilder, Reference
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, log_file
from tasks.training.export_classifier import VALIDATION_LOGITS
from tasks.training.split_examples import read_rows

CHUNK_ROWS = 10_000  # Bounds memory.


def _report(record: StageRecord, run: Run) -> str:
    log_file(run, record.file(SUMMARY), "reference")
    return f"profile of {record.facts['rows']:,} held-out rows, for drift"


@stage("reference", report=_report)
def describe_reference(
    folder: Path, classifier: StageRecord, evaluation: StageRecord, splits: StageRecord
) -> dict[str, Any]:
    """Profile the validation and test rows, which the weights were not fitted on; write reference.json and .npz."""
    served = Classifier.load(classifier.folder)
    builder = ProfileBuilder(served.labels, served.encoder)
    test = pd.read_parquet(evaluation.file("predictions.parquet"))
    builder.see_answers(served.scale(np.load(classifier.file(VALIDATION_LOGITS))))
    builder.see_answers(test[probability_columns(served.labels)].to_numpy())
    texts = [*read_rows(splits, "validation")["text"], *test["text"]]
    for first in range(0, len(texts), CHUNK_ROWS):
        builder.see_texts(texts[first : first + CHUNK_ROWS], first_row=first)
    test_right = int((test["label"] == test["predicted"]).sum())
    Reference(builder.profile(), test_rows=len(test), test_right=test_right).save(folder)
    return {"rows": len(texts)}
