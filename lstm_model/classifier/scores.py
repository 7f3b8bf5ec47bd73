"""Rows -> the rows with their answers, as `lstm-text score` writes them."""

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
    numbers = dict.fromkeys(["score", *probability_columns(labels)], pa.float64())
    texts = dict.fromkeys(["status", "reason", "model_name", "model_version", "run_id"], pa.string())
    fields = {"id": pa.string(), "label": pa.string()} | numbers | texts
    return pa.schema(fields | {"scored_at": pa.timestamp("us", tz="UTC")})


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
    is the row number, counted from first_row. made_by: model_name, model_version and run_id.
    """
    usable = chunk["problem"].isna()
    probabilities = classifier.predict_probabilities(chunk.loc[usable, "text"].tolist())
    answers = answer_table(probabilities, classifier.labels, options).set_index(chunk.index[usable])
    columns: dict[str, Any] = {
        "id": chunk["id"] if "id" in chunk else [str(row) for row in range(first_row, first_row + len(chunk))],
        **answers.reindex(chunk.index),
        "status": usable.map({True: SCORED, False: UNSCORED}),
        "reason": chunk["problem"],
        **made_by,
        "scored_at": datetime.now(UTC),
    }
    table = pd.DataFrame(columns, index=chunk.index)
    return pa.Table.from_pandas(table, scores_schema(classifier.labels), preserve_index=False)
