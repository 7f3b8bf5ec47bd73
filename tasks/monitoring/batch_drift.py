"""A batch of answers beside the reference of the version that answered: report, figures over time, perhaps an event."""

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

NO_REFERENCE = "the version has no training reference: it was registered before there was one; train again to have it"
SHOWN_LABELS = 50  # The shares of more labels make no chart.


@dataclass(frozen=True)
class AnsweredBatch:
    """An input that was answered: who answered (and where that is on this disk), and the profile of it all."""

    path: Path
    digest: str
    model_name: str
    version: str
    classifier: Classifier
    folder: Path
    profile: Profile


@retried_task(name="compare-batch")
def compare_batch(batch: AnsweredBatch, config: DriftConfig) -> DriftOutcome:
    """Compare a batch with the reference of its version and write down what came out, once for each input.

    Raises ModelError for a damaged reference.
    """
    reference = Reference.load(batch.folder)
    if reference is None:
        get_run_logger().warning("%s version %s: %s.", batch.model_name, batch.version, NO_REFERENCE)
        name, version = batch.model_name, batch.version
        return DriftOutcome(verdict="no reference", text=f"{NO_REFERENCE}.", model_name=name, version=version)
    tokenizer = batch.classifier.tokenizer
    comparison = compare_profiles(
        reference.profile, batch.profile, config, token_name=lambda token: tokenizer.id_to_token(token) or ""
    )
    found, figures = comparison.to_json(), _figures(comparison)
    series = Series.open(config.experiment_name, batch.model_name, batch.version)
    known = series.entries("batch", input_digest=batch.digest)
    entry = known[0] if known else write_entry(
        series, "batch", found, batch.path,
        figures=figures | (_shares(batch.profile) if comparison.figures else {}), tags={"input_digest": batch.digest},
    )  # fmt: skip
    publish_markdown("drift", drift_markdown(found), "Are these texts like those that the model was judged on?")
    again = f" The same input was compared before, as batch {entry.number}: it is not logged again." if known else ""
    text = comparison.text + again
    return conclude(series, entry, "batch", config, verdict=comparison.verdict, text=text, figures=figures)


def compare_scored(batch: AnsweredBatch | None, config: DriftConfig | None) -> DriftOutcome | None:
    """Compare what was scored, if that was asked for. Answers that are written stand, also where comparing fails."""
    if batch is None or config is None:
        return None
    found = compare_batch(batch, config, return_state=True).result(raise_on_failure=False)
    if isinstance(found, DriftOutcome):
        return found
    text = f"{found} `lstm-text drift {batch.path}` compares it without answering it again."
    return DriftOutcome(verdict="not compared", text=text, model_name=batch.model_name, version=batch.version)


def _figures(comparison: DriftComparison) -> dict[str, float]:
    """Return what is drawn over time; no verdict where none was given."""
    figures = {"rows": float(comparison.rows), "effective_rows": comparison.effective_rows}
    for figure in comparison.figures:
        figures |= {figure.name: figure.value, f"{figure.name}_limit": figure.threshold}
    return figures | ({"drifted": float(comparison.verdict == "drifted")} if comparison.figures else {})


def _shares(profile: Profile) -> dict[str, float]:
    if len(profile.labels) > SHOWN_LABELS:
        return {}
    shares = zip(profile.labels, profile.classes / profile.rows, strict=True)
    return {f"share/{label_key(label)}": float(share) for label, share in shares}
