"""Which columns look like text, label and split: by their values, and by their names where values leave a choice."""

import re
from collections import Counter
from itertools import combinations, pairwise

import pandas as pd

from lstm_model.data.splitting import SYNONYMS
from lstm_model.data.texts import BLANK

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
