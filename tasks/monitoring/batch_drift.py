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
from tasks.monitoring.drift_outcome import DriftOutcome, record
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.artifacts import publish_markdown
from tasks.runtime.stage_store import retried_task
from tasks.runtime.tracking import label_key

NO_REFERENCE = "has no training reference: it was registered before there were any"
SHOWN_LABELS = 50  # A chart of more shares is unreadable.


@dataclass(frozen=True)
class AnsweredBatch:
    """An answered input, with its profile and the version that answered it."""

    path: Path
    digest: str
    model: RegisteredClassifier
    classifier: Classifier
    profile: Profile


@retried_task(name="compare-batch")
def compare_batch(batch: AnsweredBatch, config: DriftConfig) -> DriftOutcome:
    """Compare a batch with the reference of its version; log the result once per input.

    Raises ModelError for a damaged reference.
    """
    name, version = batch.model.name, batch.model.version
    reference = Reference.load(batch.model.folder)
    if reference is None:
        text = f"{name} version {version} {NO_REFERENCE}. Train again to get one."
        get_run_logger().warning("%s", text)
        return DriftOutcome(verdict="no reference", text=text, model_name=name, version=version)
    tokenizer = batch.classifier.tokenizer
    comparison = compare_profiles(
        reference.profile, batch.profile, config, token_name=lambda token: tokenizer.id_to_token(token) or ""
    )
    content = comparison.to_json()
    outcome = record(
        Series.open(config.experiment_name, name, version), "batch", content, config,
        path=batch.path, digests={"input_digest": batch.digest}, metrics=_metrics(comparison),
        shares=_shares(batch.profile) if comparison.figures else {}, tags={},
    )  # fmt: skip
    publish_markdown("drift", drift_markdown(content), "Are these texts like the rows that the model was evaluated on?")
    return outcome


def compare_scored(batch: AnsweredBatch | None, config: DriftConfig | None) -> DriftOutcome | None:
    """Compare a scored batch, if there is one. The answers stay valid when the comparison fails."""
    if batch is None or config is None:
        return None
    outcome = compare_batch(batch, config, return_state=True).result(raise_on_failure=False)
    if isinstance(outcome, DriftOutcome):
        return outcome
    text = f"{outcome} `lstm-text drift {batch.path}` compares the file without scoring it again."
    return DriftOutcome(verdict="not compared", text=text, model_name=batch.model.name, version=batch.model.version)


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
