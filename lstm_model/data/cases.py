"""Cases: texts that any good model answers right, kept in a file that a person extends.

Ribeiro et al. 2020, "Beyond accuracy: behavioral testing of NLP models with CheckList", call them minimum
functionality tests.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lstm_model.config.data import DataConfig, Quoting
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.reading import FORMATS, Reading, read_chunks, read_columns
from lstm_model.errors import ContentError

COLUMNS = ("text", "label")


def find_cases(data: DataConfig, evaluation: EvaluationConfig) -> Path | None:
    """Return the file that evaluation.cases names; unset, NAME.cases.csv beside the labelled file if it is there."""
    if evaluation.cases is not None:
        return evaluation.cases
    name = data.path.name
    ending = max((ending for ending in FORMATS if name.lower().endswith(ending)), key=len, default="")
    beside = data.path.with_name(f"{name[: len(name) - len(ending)]}.cases.csv")
    return beside if beside.is_file() else None


def read_cases(
    path: Path,
    *,
    labels: Sequence[str] | None = None,
    quoting: Quoting = "auto",
    reading: Reading | None = None,
) -> pd.DataFrame:
    """Return the cases: text and label, one row each, strings.

    labels: those that the model knows, once that is settled. quoting, reading: as `read_chunks` has them. Raises
    UsageError for a file that is missing or of another format, ContentError for one without the two columns, without a
    row, or with a row that no model could answer.
    """
    columns = read_columns(path, quoting=quoting)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise ContentError(
            expected=f"the columns 'text' and 'label' in the cases file {path}",
            found=", ".join(map(repr, columns)),
            remedy=f"Add the column {' and '.join(map(repr, missing))}, or name another file with --evaluation.cases.",
        )
    chunks = list(read_chunks(path, {name: name for name in COLUMNS}, quoting=quoting, reading=reading))
    if not chunks:
        raise ContentError(
            expected=f"at least one case in {path}", found="a header only", remedy="Add rows, or remove the file."
        )
    cases = pd.concat(chunks, ignore_index=True)
    _check_rows(path, cases, labels)
    return cases[list(COLUMNS)]


def _check_rows(path: Path, cases: pd.DataFrame, labels: Sequence[str] | None) -> None:
    for number, (text, label, problem) in enumerate(cases[["text", "label", "problem"]].itertuples(index=False), 1):
        if problem is not None:
            raise ContentError(
                expected=f"a text in row {number} of the cases file {path}", found=str(problem), remedy="Mend the row."
            )
        if labels is not None and label not in labels:
            known = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
            raise ContentError(
                expected=f"one of the labels {known} in row {number} of the cases file {path}",
                found=f"{label!r} for {text[:80]!r}",
                remedy="Mend the row, or name the file that belongs to this data with --evaluation.cases.",
            )
