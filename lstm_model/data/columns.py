"""Which columns of the labelled file are read, and which ones to name where those are missing."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations, islice, pairwise
from pathlib import Path

import pandas as pd

from lstm_model.config.data import NO_ID, DataConfig, Dialect
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.splitting import SYNONYMS
from lstm_model.data.text_columns import is_text, text_sources
from lstm_model.data.texts import BLANK, listed
from lstm_model.errors import ContentError, LstmTextError

FIRST_ROWS = 2_000
ROWS_LOOKED_AT = 100_000  # For a suggestion: files are often sorted by label.
MOST_COLUMNS = 50
FLAGS = {"example_id": "data.id", "slice": "evaluation.slice", "group": "split.group", "time": "split.time"}
# Names that people give to columns; they count only where values leave a choice.
LABEL_NAMES = re.compile(
    r"label|class|categor|target|intent|topic|sentiment|emotion|tag|type|stars?$|rating|genre|polarity|^y$", re.I
)
OTHER_NAMES = re.compile(r"lang|locale|country|source|channel|user|author|date|time|split|fold|(^|_|\b)id$", re.I)
TEXT_NAMES = re.compile(r"text|message|body|content|comment|review|sentence|utterance|question|query|tweet|post", re.I)
DATE = re.compile(r"\s*\d{1,4}[-/.:]\d{1,2}([-/.:]\d{1,4})?\b.*")
ADDRESS = re.compile(r"\S*(://|@)\S*")
WORD = re.compile(r"[^\W\d_]+")
SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def text_columns(
    path: Path, names: Sequence[str], id_column: str | None, *, dialect: Dialect = Dialect()
) -> dict[str, str]:
    """Return the columns to read of a file of texts, for `read_chunks`. Raises ContentError if the file lacks one."""
    wanted = text_sources(names) | ({"id": id_column} if id_column and id_column != NO_ID else {})
    columns = read_columns(path, dialect=dialect, names=wanted.values())
    if missing := sorted(set(wanted.values()) - set(columns)):
        remedy = f"Name the right ones with --text-column{'s' if len(names) > 1 else ''} and --id-column."
        if len(names) == 1 and missing == list(names) and (text := _find_roles(path, dialect, columns).get("text")):
            remedy = f"Pass --text-column {_quoted(text)}."
        raise ContentError(f"{path} has no column {listed(missing)} (found: {listed(columns)}).", remedy)
    return {"id": "id", **wanted} if "id" in columns and id_column != NO_ID else wanted


def check_columns(config: DataConfig, others: Mapping[str, str | None]) -> dict[str, str]:
    """Return name here -> name in the file for the columns to read: those that the settings name, and `id`.

    others: those of `PipelineConfig.other_columns`. Raises ContentError if a column is missing, with a suggestion.
    """
    named = {
        **text_sources(config.texts),
        "label": config.label_column,
        "example_id": None if config.id_column == NO_ID else config.id_column,
        "split": config.split_column,
        **others,
    }
    wanted = {name: source for name, source in named.items() if source is not None}
    columns = read_columns(config.path, dialect=config.dialect, names=wanted.values())
    missing = {name: source for name, source in wanted.items() if source not in columns}
    if not missing:
        return wanted | {"example_id": "id"} if config.id_column is None and "id" in columns else wanted
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
    labels = next(chunks, pd.DataFrame(columns=["label"]))["label"].dropna()
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


def suggest_columns(rows: pd.DataFrame) -> dict[str, str]:
    """Return text, label and split -> the column of `rows` (strings or None) that looks like it, where one does.

    The text is the column with most words whose values differ. The label is one with few values, which texts that share
    a rare word share more often than others do.
    """
    filled = {str(name): values[values.fillna("").str.strip(BLANK) != ""] for name, values in rows.items()}
    given = {name: values for name, values in filled.items() if len(values)}
    split = [name for name, values in given.items() if values.str.strip().str.lower().isin(SYNONYMS).all()]
    lengths = {
        name: values.map(_words).mean() * (1 + bool(TEXT_NAMES.search(name)))
        for name, values in given.items()
        if values.nunique() >= 0.5 * len(values) and name not in split
    }
    text = max((name for name in lengths if lengths[name] >= 2), key=lambda name: lengths[name], default=None)
    labels = [name for name, values in given.items() if name not in [*split, text] and _few(values)]
    shared = _rows_of_rare_words(rows[text]) if text is not None else []
    scores = {name: _agreement(given[name].reindex(rows.index), shared) + _hint(name) for name in labels}
    label = max(labels, key=lambda name: scores[name], default=None)
    found = {"text": text, "label": label, "split": next(iter(split), None)}
    return {role: name for role, name in found.items() if name is not None}


def _words(text: str) -> float:
    return len(WORD.findall(ADDRESS.sub("", text))) + len(SPACELESS.findall(text)) / 2


def _few(values: pd.Series) -> bool:
    """Return whether the values may be labels: few, short, no dates, and no numbers but small whole ones."""
    kinds = values.unique()
    if not 2 <= len(kinds) <= max(2, len(values) // 2) or values.map(_words).mean() > 6:
        return False
    numbers = sum(value.strip().lstrip("+-").replace(".", "", 1).isdigit() for value in kinds)
    return not all(DATE.fullmatch(value) for value in kinds) and (numbers < len(kinds) or len(kinds) <= 20)


def _hint(name: str) -> float:
    return bool(LABEL_NAMES.search(name)) - bool(OTHER_NAMES.search(name))


def _rows_of_rare_words(texts: pd.Series) -> list[list[int]]:
    """Return, for each word of 2 to 20 rows, the rows that have it."""
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts.fillna("")):
        pairs = pairwise(SPACELESS.findall(text))
        words = {word.lower() for word in WORD.findall(text)} | {"".join(pair) for pair in pairs}
        for word in words:
            rows.setdefault(word, []).append(row)
    return [found for found in rows.values() if 2 <= len(found) <= 20]


def _agreement(values: pd.Series, groups: list[list[int]]) -> float:
    """Return how much more often rows of a group have equal values than any two rows (Cohen's kappa); 0 to 1."""
    codes = values.fillna("").to_list()
    pairs = [codes[first] == codes[second] for group in groups for first, second in combinations(group, 2)]
    chance = sum((count / len(codes)) ** 2 for count in Counter(codes).values())
    return (sum(pairs) / len(pairs) - chance) / (1 - chance) if pairs and chance < 1 else 0.0


def _quoted(name: str) -> str:
    """Return the name as a shell needs it."""
    return name if re.fullmatch(r"[\w./-]+", name) else "'" + name.replace("'", "'\\''") + "'"
