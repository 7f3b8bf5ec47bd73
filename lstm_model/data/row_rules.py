"""What makes a row acceptable: derived columns that rules look at, one rule per sentence."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError

Mask = Callable[[pd.DataFrame], pd.Series]


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
        """Return bool[N]: the row breaks the rule. Rows where the rule has nothing to look at (NaN) keep it."""
        values = derived[self.column]
        below = values < self.low if self.low is not None else False
        return (below | (values > self.high)) if self.high is not None else pd.Series(below, index=values.index)


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
    flags = {"text": "text", "label": "label", "example_id": "id", "split": "split"}
    wanted = wanted_columns(config)
    missing = [f"--data.{flags[name]}-column" for name, source in wanted.items() if source not in columns]
    return ContentError(
        expected=f"the columns {', '.join(map(repr, wanted.values()))} in {config.path}",
        found=", ".join(map(repr, columns)),
        remedy=f"Name the right column with {' and '.join(missing)}.",
    )


def missing_slice_column(config: DataConfig, slice_column: str, columns: list[str]) -> ContentError:
    """Return the error for a file that lacks the column by whose values figures are wanted."""
    return ContentError(
        expected=f"the column {slice_column!r} in {config.path}",
        found=", ".join(map(repr, columns)),
        remedy="Name a column of the file with --evaluation.slice-column, or leave it out.",
    )


def row_rules(config: DataConfig, *, given_validation: bool) -> list[RowRule]:
    """Return the rules for one row, in the order in which a person should read them."""
    needed = 3 if config.split_column is None else 1 if given_validation else 2
    rules = [
        RowRule("text_is_text", "text_problems", None, 0, "problem", "the text is a string, not null"),
        RowRule(
            "text_is_long_enough",
            "characters",
            config.min_characters,
            None,
            "text",
            "the text is not blank or too short",
        ),
        RowRule("text_is_short_enough", "characters", None, config.max_characters, "text", "the text is not too long"),
        RowRule("text_has_no_nul", "nul_characters", None, 0, "text", "the text holds no NUL character"),
        RowRule("label_is_given", "label_characters", 1, None, "label", "the label is not null or blank"),
        RowRule("label_is_known", "label_unknown", None, 0, "label", "the label is one of data.labels"),
        RowRule("id_is_given", "id_characters", 1, None, "example_id", "the id is not null or blank"),
        RowRule("id_is_unique", "rows_of_id", None, 1, "example_id", "no other row has the id"),
        RowRule("text_has_one_label", "labels_of_text", None, 1, "label", "equal texts have equal labels"),
        RowRule(
            "label_has_enough_texts",
            "texts_of_label",
            needed,
            None,
            "label",
            f"at least {needed} different texts with the label can be train rows or be split",
        ),
        RowRule("text_is_unique", "rows_of_text", None, 1, "text", "no other row has the text (counted)", stops=False),
    ]
    return [rule for rule in rules if rule.name != "label_is_known" or config.labels is not None]


def derive_columns(rows: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
    """Return the columns that the rules look at, one row per row of `rows` (example_id, text, label, problem, split).

    Null texts, labels and ids are NaN where a rule has nothing to look at, so that one fault breaks one rule.
    """
    text, label = rows["text"], rows["label"]
    digests = text.map(digest_text, na_action="ignore")
    trainable = rows["label"].notna() & rows["text"].notna()
    if "split" in rows:
        # As splitting.honour_given_split leaves them: copies of held-out texts are no train rows.
        held_out = rows["split"].isin(["validation", "test"])
        trainable &= (rows["split"] == "train") & ~digests.isin(digests[held_out])
    texts_of_label = digests[trainable].groupby(label[trainable]).nunique()
    derived = {
        "text_problems": rows["problem"].notna().astype(int),
        "characters": text.str.strip().str.len(),
        "nul_characters": text.str.count("\x00"),
        "label_characters": label.fillna("").str.strip().str.len(),
        "label_unknown": (~label.isin(config.labels or ())).astype(int).where(label.notna()),
        "id_characters": rows["example_id"].fillna("").str.strip().str.len(),
        "rows_of_id": rows.groupby("example_id")["example_id"].transform("size"),
        "labels_of_text": label.groupby(digests).transform("nunique"),
        "rows_of_text": text.groupby(digests).transform("size"),
        "texts_of_label": label.map(texts_of_label).fillna(0).where(label.fillna("").str.strip() != ""),
    }
    return pd.DataFrame({name: pd.to_numeric(column) for name, column in derived.items()}, index=rows.index)


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)[:200]


def list_bad_rows(rows: pd.DataFrame, derived: pd.DataFrame, rules: list[RowRule]) -> pd.DataFrame:
    """Return row (number from 1), example_id, rule and value for every stopping rule that a row breaks."""
    found = []
    for rule in (rule for rule in rules if rule.stops):
        broken = rule.broken(derived)
        values = rows.loc[broken, rule.shows].map(_shown if rule.shows != "problem" else str)
        found.append(
            pd.DataFrame(
                {
                    "row": rows.index[broken] + 1,
                    "example_id": rows.loc[broken, "example_id"],
                    "rule": rule.name,
                    "value": values,
                }
            )
        )
    return pd.concat(found, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)
