"""Which columns of the labelled file are read, and which ones to name where those are missing."""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

from lstm_model.config.data import NO_ID, DataConfig, Dialect
from lstm_model.data.column_roles import suggest_columns
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.text_columns import is_text, text_sources
from lstm_model.data.texts import listed
from lstm_model.errors import ContentError, LstmTextError

FIRST_ROWS = 2_000
ROWS_LOOKED_AT = 100_000  # For a suggestion: files are often sorted by label.
MOST_COLUMNS = 50
FLAGS = {"example_id": "data.id", "slice": "evaluation.slice", "group": "split.group", "time": "split.time"}


def wanted_columns(config: DataConfig) -> dict[str, str]:
    """Return name here -> name in the file for the columns that the config names."""
    named = {
        **text_sources(config.texts),
        "label": config.label_column,
        "example_id": None if config.id_column == NO_ID else config.id_column,
        "split": config.split_column,
    }
    return {name: source for name, source in named.items() if source is not None}


def text_columns(
    path: Path, names: Sequence[str], id_column: str | None, *, dialect: Dialect = Dialect()
) -> dict[str, str]:
    """Return the columns to read of a file of texts, for `read_chunks`. Raises ContentError if the file lacks one."""
    wanted = text_sources(names) | ({"id": id_column} if id_column and id_column != NO_ID else {})
    columns = read_columns(path, dialect=dialect, names=wanted.values())
    if missing := sorted(set(wanted.values()) - set(columns)):
        remedy = f"Name the right ones with --text-column{'s' if len(names) > 1 else ''} and --id-column."
        if missing == list(names) and (text := _find_roles(path, dialect, columns).get("text")):
            remedy = f"Pass --text-column {_quoted(text)}."
        raise ContentError(f"{path} has no column {listed(missing)} (found: {listed(columns)}).", remedy)
    return {"id": "id", **wanted} if "id" in columns and id_column != NO_ID else wanted


def check_columns(config: DataConfig, others: Mapping[str, str]) -> list[str]:
    """Return the columns of the file. Raises ContentError if one that the settings name is missing, with a suggestion.

    others: name here -> name in the file, of `PipelineConfig.other_columns`.
    """
    wanted = {**wanted_columns(config), **others}
    columns = read_columns(config.path, dialect=config.dialect, names=wanted.values())
    missing = {name: source for name, source in wanted.items() if source not in columns}
    if not missing:
        return columns
    several = config.text_columns is not None
    roles = dict.fromkeys("text" if is_text(name) else name for name in missing)
    used = [source for name, source in wanted.items() if name not in missing]
    found = _find_roles(config.path, config.dialect, columns, used=used, texts=config.texts)
    flags = {role: f"--{FLAGS.get(role, f'data.{role}')}-column{'s' * (several and role == 'text')}" for role in roles}
    suggested = {role: found[role] for role in roles if role in found and not (several and role == "text")}
    remedies = []
    if suggested:
        remedies.append("pass " + " ".join(f"{flags[role]} {_quoted(name)}" for role, name in suggested.items()))
    if unknown := [flags[role] for role in roles if role not in suggested]:
        remedies.append(f"name the right column with {' and '.join(unknown)}")
    remedy = ", and ".join(remedies)
    raise ContentError(
        f"{config.path} has no column{'s' * (len(missing) > 1)} {listed(missing.values())} (found: {listed(columns)}).",
        f"{remedy[0].upper()}{remedy[1:]}.",
    )


def check_labels(config: DataConfig) -> None:
    """Raise ContentError if the labels of the first rows are nearly all different: the column has something else."""
    chunks = read_chunks(config.path, {"label": config.label_column}, dialect=config.dialect, chunk_rows=FIRST_ROWS)
    first = next(chunks, None)
    labels = pd.Series(dtype=object) if first is None else first["label"].dropna()
    if len(labels) < 100 or labels.nunique() < 0.9 * len(labels) or config.drop_rare_labels:
        return
    columns = read_columns(config.path, dialect=config.dialect)
    used = [config.label_column, *config.texts]
    label = _find_roles(config.path, config.dialect, columns, used=used, texts=config.texts).get("label")
    remedy = f"Pass --data.label-column {_quoted(label)}." if label else "Name it with --data.label-column."
    raise ContentError(
        f"Column {config.label_column!r} of {config.path} has {labels.nunique():,} different values in the first "
        f"{len(labels):,} rows, so it does not hold labels (columns: {listed(columns)}).",
        remedy,
    )


def _find_roles(
    path: Path, dialect: Dialect, columns: list[str], *, used: Collection[str] = (), texts: Collection[str] = ()
) -> dict[str, str]:
    """Return role -> the column that looks like it; nothing if the first rows cannot be read.

    used: columns that have a role. texts: those of them that are the text, which helps to find the label.
    """
    usable = [name for name in columns if name and columns.count(name) == 1 and (name not in used or name in texts)]
    sources = {f"column {name}": name for name in usable[:MOST_COLUMNS]}
    try:
        chunks = read_chunks(path, sources, dialect=dialect, chunk_rows=FIRST_ROWS)
        read = list(islice(chunks, ROWS_LOOKED_AT // FIRST_ROWS))
    except LstmTextError:  # Such as nested JSON in a column that nobody needs.
        return {}
    if not read:
        return {}
    rows = pd.concat([chunk[:: len(read)] for chunk in read], ignore_index=True)
    found = suggest_columns(rows.rename(columns=lambda name: name.removeprefix("column ")))
    return {role: name for role, name in found.items() if name not in used}


def _quoted(name: str) -> str:
    """Return the name as a shell needs it."""
    return name if re.fullmatch(r"[\w./-]+", name) else "'" + name.replace("'", "'\\''") + "'"
