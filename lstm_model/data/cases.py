"""Cases: texts that any good model answers right, in a file that you extend.

Ribeiro et al. 2020, "Beyond accuracy: behavioral testing of NLP models with CheckList", call them minimum
functionality tests.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lstm_model.config.data import DataConfig, Quoting
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.reading import FORMATS, Reading, read_chunks, read_columns
from lstm_model.data.texts import text_sources
from lstm_model.errors import ContentError


def find_cases(data: DataConfig, evaluation: EvaluationConfig) -> Path | None:
    """Return evaluation.cases; if unset, NAME.cases.csv next to the labelled file, or None if there is none."""
    if evaluation.cases is not None:
        return evaluation.cases
    name = data.path.name
    ending = next((ending for ending in FORMATS if name.lower().endswith(ending)), "")
    neighbour = data.path.with_name(f"{name[: len(name) - len(ending)]}.cases.csv")
    return neighbour if neighbour.is_file() else None


def read_cases(
    path: Path,
    *,
    inputs: Sequence[str] = ("text",),
    labels: Sequence[str] | None = None,
    quoting: Quoting = "auto",
    reading: Reading | None = None,
) -> pd.DataFrame:
    """Return the cases: text and label, one row each, strings.

    inputs: the columns that together are the text. labels: those that the model knows, or None to skip that check.
    quoting, reading: see `read_chunks`. Raises UsageError for a file that is missing or of another format, ContentError
    for one without these columns, without a row, or with a row that no model could answer.
    """
    wanted = {**text_sources(inputs), "label": "label"}
    columns = read_columns(path, quoting=quoting)
    if missing := [repr(name) for name in wanted.values() if name not in columns]:
        raise ContentError(
            f"The cases file {path} needs the columns {' and '.join(map(repr, wanted.values()))} "
            f"(found: {', '.join(map(repr, columns))}).",
            f"Add the column {' and '.join(missing)}, or name another file with --evaluation.cases.",
        )
    chunks = list(read_chunks(path, wanted, quoting=quoting, reading=reading))
    if not chunks:
        raise ContentError(f"The cases file {path} has a header only.", "Add rows, or remove the file.")
    cases = pd.concat(chunks, ignore_index=True)
    for number, (text, label, problem) in enumerate(cases[["text", "label", "problem"]].itertuples(index=False), 1):
        if problem is not None:
            raise ContentError(f"Row {number} of the cases file {path} has no text: {problem}.", "Fix the row.")
        if labels is not None and label not in labels:
            known = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
            raise ContentError(
                f"Row {number} of the cases file {path} has the label {label!r} for {text[:80]!r}, which is none of "
                f"the labels {known}.",
                "Fix the row, or name the file that belongs to this data with --evaluation.cases.",
            )
    return cases[["text", "label"]]
