"""Compare an answered batch with the reference of the version that answered it."""

from dataclasses import dataclass
from pathlib import Path

from prefect import get_run_logger

from lstm_model.classifier.classifier import Classifier
from lstm_model.config.drift import DriftConfig
from lstm_model.drift.profile import Profile, Reference
from lstm_model.drift.statistics import DriftComparison, compare_profiles
from lstm_model.pages.drift_page import drift_markdown
from tasks.monitoring.drift_history import Series
from tasks.monitoring.drift_outcome import DriftOutcome, conclude, write_entry
from tasks.runtime.artifacts import publish_markdown
from tasks.runtime.stage_store import retried_task
from tasks.runtime.tracking import label_key

NO_REFERENCE = "The version has no training reference, because it was registered before there were any. Train again."
SHOWN_LABELS = 50  # A chart of more shares is unreadable.


@dataclass(frozen=True)
class AnsweredBatch:
    """An answered input, with its profile. folder: where the classifier of the version is on this disk."""

    path: Path
    digest: str
    model_name: str
    version: str
    classifier: Classifier
    folder: Path
    profile: Profile


@retried_task(name="compare-batch")
def compare_batch(batch: AnsweredBatch, config: DriftConfig) -> DriftOutcome:
    """Compare a batch with the reference of its version; log the result once per input.

    Raises ModelError for a damaged reference.
    """
    name, version = batch.model_name, batch.version
    reference = Reference.load(batch.folder)
    if reference is None:
        get_run_logger().warning("%s version %s: %s", name, version, NO_REFERENCE)
        return DriftOutcome(verdict="no reference", text=NO_REFERENCE, model_name=name, version=version)
    tokenizer = batch.classifier.tokenizer
    comparison = compare_profiles(
        reference.profile, batch.profile, config, token_name=lambda token: tokenizer.id_to_token(token) or ""
    )
    content, metrics = comparison.to_json(), _metrics(comparison)
    series = Series.open(config.experiment_name, name, version)
    known = series.entries("batch", input_digest=batch.digest)
    entry = known[0] if known else write_entry(
        series, "batch", content, batch.path,
        metrics=metrics | (_shares(batch.profile) if comparison.figures else {}), tags={"input_digest": batch.digest},
    )  # fmt: skip
    publish_markdown("drift", drift_markdown(content), "Are these texts like the rows that the model was evaluated on?")
    again = f" The same input was compared before, as batch {entry.number}: it is not logged again." if known else ""
    text = comparison.text + again
    return conclude(series, entry, "batch", config, verdict=comparison.verdict, text=text, metrics=metrics)


def compare_scored(batch: AnsweredBatch | None, config: DriftConfig | None) -> DriftOutcome | None:
    """Compare a scored batch, if there is one. The answers stay valid when the comparison fails."""
    if batch is None or config is None:
        return None
    outcome = compare_batch(batch, config, return_state=True).result(raise_on_failure=False)
    if isinstance(outcome, DriftOutcome):
        return outcome
    text = f"{outcome} `lstm-text drift {batch.path}` compares the file without scoring it again."
    return DriftOutcome(verdict="not compared", text=text, model_name=batch.model_name, version=batch.version)


def _metrics(comparison: DriftComparison) -> dict[str, float]:
    """Return what MLflow draws over time; `drifted` only where there is a verdict."""
    metrics = {"rows": float(comparison.rows), "effective_rows": comparison.effective_rows}
    for statistic in comparison.figures:
        metrics |= {statistic.name: statistic.value, f"{statistic.name}_limit": statistic.threshold}
    return metrics | ({"drifted": float(comparison.verdict == "drifted")} if comparison.figures else {})


def _shares(profile: Profile) -> dict[str, float]:
    if len(profile.labels) > SHOWN_LABELS:
        return {}
    shares = zip(profile.labels, profile.classes / profile.rows, strict=True)
    return {f"share/{label_key(label)}": float(share) for label, share in shares}
