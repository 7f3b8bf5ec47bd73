"""Cases: texts that any good model answers right, in a file that you extend.

Ribeiro et al. 2020, "Beyond accuracy: behavioral testing of NLP models with CheckList", call them minimum
functionality tests.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lstm_model.config.data import DataConfig, Dialect
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.formats.kinds import ENDING
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.text_columns import text_sources
from lstm_model.data.texts import listed
from lstm_model.errors import ContentError


def find_cases(data: DataConfig, evaluation: EvaluationConfig) -> Path | None:
    """Return evaluation.cases; if unset, NAME.cases.csv next to the labelled file, or None if there is none."""
    if evaluation.cases is not None:
        return evaluation.cases
    path = data.path if data.path.name else data.path.absolute()  # The folder `.` has no name.
    neighbour = path.with_name(f"{ENDING.sub('', path.name)}.cases.csv")
    return neighbour if neighbour.is_file() else None


def read_cases(
    path: Path, *, inputs: Sequence[str] = ("text",), labels: Sequence[str] | None = None, dialect: Dialect = Dialect()
) -> pd.DataFrame:
    """Return the cases: text and label, one row each, strings.

    inputs: the columns that together are the text. labels: those that the model knows, or None to skip that check.
    Raises UsageError for a file that is missing, ContentError for one of another format, without these columns, without
    a row, or with a row that no model could answer.
    """
    wanted = {**text_sources(inputs), "label": "label"}
    columns = read_columns(path, dialect=dialect, names=wanted.values())
    if missing := [repr(name) for name in wanted.values() if name not in columns]:
        raise ContentError(
            f"The cases file {path} needs the columns {' and '.join(map(repr, wanted.values()))} "
            f"(found: {listed(columns)}).",
            f"Add the column {' and '.join(missing)}, or name another file with --evaluation.cases.",
        )
    chunks = list(read_chunks(path, wanted, dialect=dialect))
    if not chunks:
        raise ContentError(f"The cases file {path} has a header only.", "Add rows, or remove the file.")
    cases = pd.concat(chunks, ignore_index=True)
    for number, (text, label, problem) in enumerate(cases[["text", "label", "problem"]].itertuples(index=False), 1):
        if problem is not None:
            raise ContentError(f"Row {number} of the cases file {path} has no text: {problem}.", "Fix the row.")
        if labels is not None and label not in labels:
            raise ContentError(
                f"Row {number} of the cases file {path} has the label {label!r} for {text[:80]!r}, which is none of "
                f"the labels {listed(labels)}.",
                "Fix the row, or name the file that belongs to this data with --evaluation.cases.",
            )
    return cases[["text", "label"]]
