"""Compares candidate and champion on the rows that neither was trained or tuned on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lstm_model.arrays import Bool, Int
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import label_metrics
from lstm_model.evaluation.record import MacroF1Difference, Record


class Figures(Record):
    accuracy: float
    macro_f1: float
    f1: dict[str, float]


class Difference(MacroF1Difference):
    f1: dict[str, float]


class ChampionComparison(Record):
    champion_version: str
    rows: int  # Test rows unseen by both.
    left_out: int  # Test rows that one of them has seen.
    manifest_found: bool
    class_rows: dict[str, int]
    candidate: Figures
    champion: Figures
    difference: Difference  # Candidate - champion.


def trained_on(manifest: pd.DataFrame | None) -> set[str]:
    """Return the digests of the texts that a model was trained or tuned on, from columns text_digest and split."""
    if manifest is None:
        return set()
    return set(manifest.loc[manifest["split"].isin(("train", "validation")), "text_digest"])


def unseen_rows(text_digests: pd.Series, manifests: Sequence[pd.DataFrame | None]) -> Bool:
    """Return bool[N]: the text is in the train or validation part of no manifest."""
    return ~text_digests.isin(set().union(*map(trained_on, manifests))).to_numpy(dtype=bool)


def compare_with_champion(
    *,
    label_ids: Int,
    candidate_ids: Int,
    champion_ids: Int,
    labels: Sequence[str],
    resampling: Resampling,
    champion_version: str,
    left_out: int,
    manifest_found: bool,
) -> ChampionComparison:
    """label_ids, candidate_ids, champion_ids: int[N] in [0, C), as in `labels`. Raises ValueError without rows."""
    predictions = {"candidate": candidate_ids, "champion": champion_ids}
    drawn = bootstrap(label_ids=label_ids, predictions=predictions, num_classes=len(labels), resampling=resampling)
    metrics = (label_metrics(label_ids=label_ids, predicted_ids=ids, labels=labels) for ids in predictions.values())
    ours, theirs = (Figures(**values) for values in metrics)
    return ChampionComparison(
        champion_version=champion_version,
        rows=len(label_ids),
        left_out=left_out,
        manifest_found=manifest_found,
        class_rows=dict(zip(labels, np.bincount(label_ids, minlength=len(labels)).tolist(), strict=True)),
        candidate=ours,
        champion=theirs,
        difference=Difference(
            macro_f1=ours.macro_f1 - theirs.macro_f1,
            interval=interval(drawn["candidate"]["macro_f1"] - drawn["champion"]["macro_f1"], resampling.confidence),
            f1={label: ours.f1[label] - theirs.f1[label] for label in labels},
        ),
    )
