"""Train rows -> linear models over n-grams, which the export mixes with the LSTM."""

from pathlib import Path
from typing import Any

from prefect import get_run_logger

from lstm_model.config.ngrams import NgramsConfig
from lstm_model.ngrams.counts import KINDS
from lstm_model.ngrams.fit import fit_ngrams
from tasks.runtime import tracking
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run
from tasks.training.split_examples import read_texts


def _report(record: StageRecord, run: Run) -> None:
    for kind, part in record.facts["parts"].items():
        tracking.log_metrics(run, {f"ngrams.{kind}_{name}": value for name, value in part.items()})


@stage("ngrams", report=_report)
def fit_ngram_models(folder: Path, splits: StageRecord, config: NgramsConfig) -> dict[str, Any]:
    """Fit each part that the config names; write its table of keys and its table of weights."""
    texts, label_ids = read_texts(splits, "train")
    parts = {}
    for kind in KINDS:
        if not getattr(config, kind):
            continue
        fitted = fit_ngrams(texts, label_ids, kind=kind, num_classes=len(splits.facts["labels"]))
        if fitted is None:
            get_run_logger().warning("The train rows have no %s to learn from: this part is left out.", kind)
            continue
        fitted.save(folder, kind)
        parts[kind] = {"terms": len(fitted.keys), "fitted_rows": fitted.fitted_rows}
        if fitted.fitted_rows < len(texts):
            get_run_logger().info("Fitted %s on a sample of %s train rows.", kind, f"{fitted.fitted_rows:,}")
    return {"parts": parts}
