"""A chunk of rows -> the same rows answered: what `lstm-text score` writes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from lstm_model.classifier.answers import PLAIN, AnswerOptions, answer_table, probability_columns
from lstm_model.classifier.classifier import Classifier

SCORED, UNSCORED = "scored", "unscored"


def scores_schema(labels: Sequence[str]) -> pa.Schema:
    """Return the columns of a table of scores."""
    text, number = pa.string(), pa.float64()
    return pa.schema(
        [("id", text), ("label", text), ("score", number)]
        + [(name, number) for name in probability_columns(labels)]
        + [("status", text), ("reason", text)]
        + [("model_name", text), ("model_version", text), ("run_id", text)]
        + [("scored_at", pa.timestamp("us", tz="UTC"))]
    )


def score_rows(
    chunk: pd.DataFrame,
    classifier: Classifier,
    *,
    first_row: int,
    made_by: Mapping[str, str],
    options: AnswerOptions = PLAIN,
) -> pa.Table:
    """Return a row for each row of a chunk of `reading.read_chunks`, in order.

    A row without a text keeps its place, with nulls, the status `unscored` and a reason. Without a column `id`, the id
    is the number of the row, counted from first_row. made_by: model_name, model_version and run_id.
    """
    known = chunk["problem"].isna()
    probabilities = classifier.predict_probabilities(chunk.loc[known, "text"].tolist())
    answers = answer_table(probabilities, classifier.labels, options).set_index(chunk.index[known])
    columns: dict[str, Any] = {
        "id": chunk["id"] if "id" in chunk else [str(row) for row in range(first_row, first_row + len(chunk))],
        **answers.reindex(chunk.index),
        "status": known.map({True: SCORED, False: UNSCORED}),
        "reason": chunk["problem"],
        **made_by,
        "scored_at": datetime.now(UTC),
    }
    return pa.Table.from_pandas(
        pd.DataFrame(columns, index=chunk.index), scores_schema(classifier.labels), preserve_index=False
    )
