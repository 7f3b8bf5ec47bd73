"""Compares candidate and champion on the rows that neither was trained or tuned on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_model.evaluation.bootstrap import Int, Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import label_metrics
from lstm_model.evaluation.record import MacroF1Difference, Record

SEEN_PARTS = ("train", "validation")


class Figures(Record):
    """Metrics of one model's predicted labels; `f1` by label."""

    accuracy: float
    macro_f1: float
    f1: dict[str, float]


class Difference(MacroF1Difference):
    """Candidate - champion; `interval` is that of macro-F1, from the paired bootstrap."""

    f1: dict[str, float]


class ChampionComparison(Record):
    """Candidate and champion on rows unseen by both. left_out: test rows that one of them has seen."""

    champion_version: str
    rows: int
    left_out: int
    manifest_found: bool
    class_rows: dict[str, int]
    candidate: Figures
    champion: Figures
    difference: Difference


def unseen_rows(text_digests: pd.Series, manifests: Sequence[pd.DataFrame]) -> npt.NDArray[np.bool_]:
    """Return bool[N]: which texts are in the train or validation part of no split manifest.

    text_digests: N digests from `digest_text`. A manifest has the columns text_digest and split.
    """
    seen = [manifest.loc[manifest["split"].isin(SEEN_PARTS), "text_digest"] for manifest in manifests]
    return ~text_digests.isin(set().union(*seen)).to_numpy(dtype=bool)


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
    """Return the metrics of both on N rows, and their difference with its interval.

    label_ids, candidate_ids, champion_ids: int[N] in [0, C), numbered as `labels`. Raises ValueError without rows.
    """
    predictions = {"candidate": candidate_ids, "champion": champion_ids}
    drawn = bootstrap(label_ids=label_ids, predictions=predictions, num_classes=len(labels), resampling=resampling)
    ours, theirs = (
        Figures(**label_metrics(label_ids=label_ids, predicted_ids=ids, labels=labels)) for ids in predictions.values()
    )
    counts = np.bincount(label_ids, minlength=len(labels))
    return ChampionComparison(
        champion_version=champion_version,
        rows=len(label_ids),
        left_out=left_out,
        manifest_found=manifest_found,
        class_rows=dict(zip(labels, counts.tolist(), strict=True)),
        candidate=ours,
        champion=theirs,
        difference=Difference(
            macro_f1=ours.macro_f1 - theirs.macro_f1,
            interval=interval(drawn["candidate"]["macro_f1"] - drawn["champion"]["macro_f1"], resampling.confidence),
            f1={label: ours.f1[label] - theirs.f1[label] for label in labels},
        ),
    )
