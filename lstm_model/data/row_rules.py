"""The rules that every row must keep, and the derived columns that they check."""

import math
from dataclasses import dataclass

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.data.texts import listed
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError


@dataclass(frozen=True)
class RowRule:
    """A rule on one derived column: `low <= column <= high`; `stops` is False for a rule that only counts."""

    name: str
    column: str
    low: float | None
    high: float | None
    shows: str
    meaning: str
    stops: bool = True

    def broken(self, derived: pd.DataFrame) -> pd.Series:
        """Return bool[N]: the row breaks the rule. Rows where the rule has nothing to check (NaN) keep it."""
        values = derived[self.column]
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return (values < low) | (values > high)


def wanted_columns(config: DataConfig) -> dict[str, str]:
    """Return name here -> name in the file for the columns that the config names."""
    named = {
        "text": config.text_column,
        "label": config.label_column,
        "example_id": config.id_column,
        "split": config.split_column,
    }
    return {name: source for name, source in named.items() if source is not None}


def missing_columns(config: DataConfig, columns: list[str]) -> ContentError:
    """Return the error for a file that lacks columns which the config names."""
    wanted = wanted_columns(config)
    missing = [name.removeprefix("example_") for name, source in wanted.items() if source not in columns]
    return ContentError(
        f"{config.path} needs the columns {', '.join(map(repr, wanted.values()))} (found: {listed(columns)}).",
        f"Name the right column with {' and '.join(f'--data.{name}-column' for name in missing)}.",
    )


def missing_slice_column(config: DataConfig, slice_column: str, columns: list[str]) -> ContentError:
    """Return the error for a file that lacks the column to slice the metrics by."""
    return ContentError(
        f"{config.path} has no column {slice_column!r} (found: {listed(columns)}).",
        "Name a column of the file with --evaluation.slice-column, or leave it out.",
    )


def row_rules(config: DataConfig, *, given_validation: bool) -> list[RowRule]:
    """Return the rules for one row, in the order in which you should read them."""
    low, high = config.min_characters, config.max_characters
    needed = 3 if config.split_column is None else 2 - given_validation
    enough = f"at least {needed} different texts with the label can be train rows or be split"
    rules = [
        RowRule("text_is_text", "text_problems", None, 0, "problem", "the text is a string, not null"),
        RowRule("text_is_long_enough", "characters", low, None, "text", "the text is not blank or too short"),
        RowRule("text_is_short_enough", "characters", None, high, "text", "the text is not too long"),
        RowRule("text_has_no_nul", "nul_characters", None, 0, "text", "the text has no NUL character"),
        RowRule("label_is_given", "label_characters", 1, None, "label", "the label is not null or blank"),
        RowRule("label_is_known", "label_unknown", None, 0, "label", "the label is one of data.labels"),
        RowRule("id_is_given", "id_characters", 1, None, "example_id", "the id is not null or blank"),
        RowRule("id_is_unique", "rows_of_id", None, 1, "example_id", "no other row has the id"),
        RowRule("text_has_one_label", "labels_of_text", None, 1, "label", "equal texts have equal labels"),
        RowRule("label_has_enough_texts", "texts_of_label", needed, None, "label", enough),
        RowRule("text_is_unique", "rows_of_text", None, 1, "text", "no other row has the text (counted)", stops=False),
    ]
    return [rule for rule in rules if rule.name != "label_is_known" or config.labels is not None]


def derive_columns(rows: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
    """Return the columns that the rules check, one row per row of `rows` (example_id, text, label, problem, split).

    Null texts, labels and ids are NaN where a rule has nothing to check, so that one fault breaks one rule.
    """
    text, label = rows["text"], rows["label"]
    digests = text.map(digest_text, na_action="ignore")
    label_characters = label.fillna("").str.strip().str.len()
    trainable = label.notna() & text.notna()
    if "split" in rows:
        # As in splitting.honour_given_split: copies of held-out texts are no train rows.
        held_out = rows["split"].isin(["validation", "test"])
        trainable &= (rows["split"] == "train") & ~digests.isin(digests[held_out])
    texts_of_label = digests[trainable].groupby(label[trainable]).nunique()
    derived = {
        "text_problems": rows["problem"].notna().astype(int),
        "characters": text.str.strip().str.len(),
        "nul_characters": text.str.count("\x00"),
        "label_characters": label_characters,
        "label_unknown": (~label.isin(config.labels or ())).astype(int).where(label.notna()),
        "id_characters": rows["example_id"].fillna("").str.strip().str.len(),
        "rows_of_id": rows.groupby("example_id")["example_id"].transform("size"),
        "labels_of_text": label.groupby(digests).transform("nunique"),
        "rows_of_text": text.groupby(digests).transform("size"),
        "texts_of_label": label.map(texts_of_label).fillna(0).where(label_characters > 0),
    }
    return pd.DataFrame({name: pd.to_numeric(column) for name, column in derived.items()}, index=rows.index)


def list_bad_rows(rows: pd.DataFrame, derived: pd.DataFrame, rules: list[RowRule]) -> pd.DataFrame:
    """Return row (number from 1), example_id, rule and value for every stopping rule that a row breaks."""
    tables = []
    for rule in rules:
        if rule.stops:
            bad = rows[rule.broken(derived)]
            values = bad[rule.shows].map(str if rule.shows == "problem" else _shown)
            columns = {"row": bad.index + 1, "example_id": bad["example_id"], "rule": rule.name, "value": values}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)[:200]
