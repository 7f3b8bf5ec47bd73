"""Rows -> linear models over n-grams, which the export mixes with the LSTM.

Each is fitted twice: on train rows, to weigh it on validation rows, and on both, to be served.
"""

from pathlib import Path
from typing import Any

import numpy as np
from prefect import get_run_logger

from lstm_model.config.ngrams import NgramsConfig
from lstm_model.ngrams.counts import KINDS
from lstm_model.ngrams.fit import fit_ngrams
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, log_metrics
from tasks.training.split_examples import read_texts

TRAIN_FIT = "train_"  # Before the names of the tables that were fitted on train rows alone.


def _report(record: StageRecord, run: Run) -> str:
    parts = record.facts["parts"]
    for kind, part in parts.items():
        log_metrics(run, {f"ngrams.{kind}_{name}": value for name, value in part.items()})
    return f"linear models over n-grams of {' and '.join(parts)}" if parts else "left out"


@stage("ngrams", report=_report)
def fit_ngram_models(folder: Path, splits: StageRecord, config: NgramsConfig) -> dict[str, Any]:
    """Fit each part that the config names; write its tables for both fits, those of train rows as TRAIN_FIT + NAME."""
    labels, (texts, label_ids) = splits.facts["labels"], read_texts(splits, "train")
    more_texts, more_ids = read_texts(splits, "validation")
    fits = {TRAIN_FIT: (texts, label_ids), "": (texts + more_texts, np.concatenate([label_ids, more_ids]))}
    parts = {}
    for kind in KINDS:
        for prefix, rows in fits.items() if getattr(config, kind) else ():
            fitted = fit_ngrams(*rows, kind=kind, num_classes=len(labels))
            if fitted is None:
                get_run_logger().warning("The train rows have no %s to learn from: this part is left out.", kind)
                break
            fitted.save(folder, prefix + kind)
            parts[kind] = {"terms": len(fitted.keys), "fitted_rows": fitted.fitted_rows}
            if fitted.fitted_rows < len(rows[0]):
                get_run_logger().info("Fitted %s on a sample of %s rows.", kind, f"{fitted.fitted_rows:,}")
    return {"parts": parts}
