"""Candidate and champion on the same rows: only those that neither was trained or tuned on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict

from lstm_model.evaluation.bootstrap import Int, Interval, Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import label_metrics

SEEN_PARTS = ("train", "validation")


class Figures(BaseModel):
    """How good one model's answers are; `f1` by label."""

    model_config = ConfigDict(frozen=True)

    accuracy: float
    macro_f1: float
    f1: dict[str, float]


class Difference(BaseModel):
    """Candidate less champion; `interval` is that of the difference in macro-F1, from the paired bootstrap."""

    model_config = ConfigDict(frozen=True)

    macro_f1: float
    interval: Interval
    f1: dict[str, float]


class ChampionComparison(BaseModel):
    """Candidate and champion on rows unseen by both. left_out: test rows that one of them had seen."""

    model_config = ConfigDict(frozen=True)

    champion_version: str
    rows: int
    left_out: int
    manifest_found: bool
    class_rows: dict[str, int]
    candidate: Figures
    champion: Figures
    difference: Difference


def unseen_rows(text_digests: pd.Series, manifests: Sequence[pd.DataFrame]) -> npt.NDArray[np.bool_]:
    """Return bool[N]: which texts are in the train or validation part of none of the split manifests.

    text_digests: N digests as `digest_text` makes them. A manifest has the columns text_digest and split.
    """
    seen: set[str] = set()
    for manifest in manifests:
        seen |= set(manifest.loc[manifest["split"].isin(SEEN_PARTS), "text_digest"])
    return ~text_digests.isin(seen).to_numpy(dtype=bool)


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
    """Return the figures of both on N rows, and their difference with its interval.

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
        class_rows={label: int(count) for label, count in zip(labels, counts, strict=True)},
        candidate=ours,
        champion=theirs,
        difference=Difference(
            macro_f1=ours.macro_f1 - theirs.macro_f1,
            interval=interval(drawn["candidate"]["macro_f1"] - drawn["champion"]["macro_f1"], resampling.confidence),
            f1={label: ours.f1[label] - theirs.f1[label] for label in labels},
        ),
    )
