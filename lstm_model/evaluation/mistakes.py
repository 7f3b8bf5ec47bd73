"""Rows to review: confident wrong answers, and labels that are probably wrong."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lstm_model.arrays import Float, Int
from lstm_model.classifier.answers import probability_columns
from lstm_model.evaluation.metrics import ids_of


def confident_mistakes(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the wrong answers, the highest score first; answers: example_id, text, label, predicted, score."""
    wrong = answers[answers["label"] != answers["predicted"]].sort_values("score", ascending=False, kind="stable")
    return wrong[["example_id", "text", "label", "predicted", "score"]].reset_index(drop=True)


def suspicious_labels(*, label_ids: Int, probabilities: Float) -> tuple[Int, Int]:
    """Return row numbers of likely label errors, the most likely first, and the label_ids suggested for them.

    label_ids: int[N]; probabilities: float[N, C] of a model that was not fitted on these rows. Confident learning
    (Northcutt, Jiang, Chuang 2021): a label's threshold is its mean probability over the rows that have it, and a row's
    suggested label is the most probable one above its threshold. The more it leads the given label, the likelier.
    """
    wide = probabilities.astype(np.float64)
    given = label_ids[:, None] == np.arange(wide.shape[1])
    counts = given.sum(axis=0)
    thresholds = np.where(counts > 0, (wide * given).sum(axis=0) / np.maximum(counts, 1), np.inf)
    confident = np.where(wide >= thresholds, wide, -1.0)
    suggested = confident.argmax(axis=1)
    rows = np.arange(len(wide))
    lead = wide[rows, suggested] - wide[rows, label_ids]
    errors = np.flatnonzero((confident[rows, suggested] >= 0) & (suggested != label_ids) & (lead > 0))
    errors = errors[np.argsort(-lead[errors], kind="stable")]
    return errors, suggested[errors]


def label_errors(answers: pd.DataFrame, *, labels: Sequence[str]) -> pd.DataFrame:
    """answers: example_id, text, split, label, probabilities, of rows that nothing was fitted on; likeliest first."""
    label_ids = ids_of(answers["label"], labels)
    probabilities = answers[probability_columns(labels)].to_numpy(np.float64)
    errors, suggested = suspicious_labels(label_ids=label_ids, probabilities=probabilities)
    table = answers.iloc[errors][["example_id", "text", "split", "label"]].reset_index(drop=True)
    return table.assign(
        suggested=pd.Series([labels[i] for i in suggested], dtype=object),
        probability_of_label=probabilities[errors, label_ids[errors]],
        probability_of_suggested=probabilities[errors, suggested],
    )
