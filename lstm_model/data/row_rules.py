"""The rules that every row must keep, and the derived columns that they check."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.data.labels import shorten
from lstm_model.data.splitting import read_times
from lstm_model.data.text_columns import cut_texts
from lstm_model.data.texts import BLANK
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError

RARE = "label_has_enough_texts"  # The rule on labels: its rows are never set aside with single bad rows.


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
        return values.notna() & (values != values.clip(self.low, self.high))


def row_rules(config: DataConfig, *, given_validation: bool = False, has_times: bool = False) -> list[RowRule]:
    """Return the rules for one row, in the order in which you should read them.

    given_validation: a split column gives validation rows. has_times: the rows are split by time.
    """
    low, high = config.min_characters, config.max_characters
    needed = 3 if config.split_column is None else 2 - given_validation
    among = "" if config.split_column is None else " among the train rows"
    enough = f"the label has {needed} or more different texts{among}"
    rules = [
        RowRule("text_is_text", "text_problems", None, 0, "problem", "the text is a string, not null"),
        RowRule("text_is_long_enough", "characters", low, None, "text", "the text is not blank or too short"),
        RowRule("text_has_no_nul", "nul_characters", None, 0, "text", "the text has no NUL character"),
        RowRule("label_is_given", "label_characters", 1, None, "label", "the label is not null or blank"),
        RowRule("label_is_known", "label_unknown", None, 0, "label", "the label is one of data.labels"),
        RowRule("id_is_given", "id_characters", 1, None, "example_id", "the id is not null or blank"),
        RowRule("id_is_unique", "rows_of_id", None, 1, "example_id", "no other row has the id"),
        RowRule("time_is_readable", "time_unreadable", None, 0, "time", "the time is an ISO date, timestamp or number"),
        RowRule("text_has_one_label", "labels_of_text", None, 1, "label", "equal texts have equal labels"),
        RowRule(RARE, "texts_of_label", needed, None, "label", enough),
        RowRule("text_is_short_enough", "length", None, high, "text", "the text is not too long (cut)", stops=False),
        RowRule("text_is_unique", "rows_of_text", None, 1, "text", "no other row has the text (counted)", stops=False),
    ]
    left_out = {"label_is_known": config.labels is None, "time_is_readable": not has_times}
    return [rule for rule in rules if not left_out.get(rule.name)]


def derive_columns(rows: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
    """Return the columns that the rules check, one row per row of `rows` (example_id, text, label, problem, split).

    Null texts, labels and ids are NaN where a rule has nothing to check, so that one fault breaks one rule. Texts are
    compared as they are trained on, cut to data.max_characters.
    """
    text, label = cut_texts(rows["text"], config.max_characters), rows["label"]
    digests = text.map(digest_text, na_action="ignore")
    label_characters = _visible(label.fillna(""))
    trainable = label.notna() & text.notna()
    if "split" in rows:
        # As in splitting.honour_given_split: copies of held-out texts are no train rows.
        held_out = rows["split"].isin(["validation", "test"])
        trainable &= (rows["split"] == "train") & ~digests.isin(digests[held_out])
    texts_of_label = digests[trainable].groupby(label[trainable]).nunique()
    derived = {
        "text_problems": rows["problem"].notna().astype(int),
        "characters": _visible(text),
        "length": rows["text"].str.len(),
        "nul_characters": text.str.count("\x00"),
        "label_characters": label_characters,
        "label_unknown": (~label.isin(config.labels or ())).astype(int).where(label.notna()),
        "id_characters": _visible(rows["example_id"].fillna("")),
        "rows_of_id": rows.groupby("example_id")["example_id"].transform("size"),
        "labels_of_text": label.groupby(digests).transform("nunique"),
        "rows_of_text": text.groupby(digests).transform("size"),
        "texts_of_label": label.map(texts_of_label).fillna(0).where(label_characters > 0),
    }
    if "time" in rows:
        derived["time_unreadable"] = read_times(rows["time"]).isna().astype(int)
    return pd.DataFrame({name: pd.to_numeric(column) for name, column in derived.items()}, index=rows.index)


def _visible(values: pd.Series) -> pd.Series:
    """Return the length of each string without blank characters at both ends."""
    return values.str.strip(BLANK).str.len()


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


@dataclass(frozen=True)
class Sifted:
    """Rows as the rules sort them; each row is on one list at most, and the others may be trained on.

    bad: as `list_bad_rows`, the rows that break a rule on single rows. rare: the same for rows that are good but for
    their label's rarity. rare_labels: label -> different texts without and with the bad rows.
    """

    bad: pd.DataFrame
    rare: pd.DataFrame
    rare_labels: dict[str, tuple[int, int]]


def sift_rows(rows: pd.DataFrame, derived: pd.DataFrame, rules: list[RowRule], config: DataConfig) -> Sifted:
    """Apply the rules on single rows, and to the rest the rule that each label has enough texts."""
    rule = next(rule for rule in rules if rule.name == RARE)
    bad = list_bad_rows(rows, derived, [other for other in rules if other is not rule])
    rest = rows[~rows.index.isin(bad["row"] - 1)]
    derived_rest = derive_columns(rest, config)
    before, after = (
        columns["texts_of_label"].groupby(part["label"]).first().dropna()
        for part, columns in ((rows, derived), (rest, derived_rest))
    )
    rare_labels = {
        str(label): (int(after.get(label, 0)), int(texts))
        for label, texts in before.items()
        if (config.labels is None or label in config.labels) and after.get(label, 0) < (rule.low or 0)
    }
    return Sifted(bad, list_bad_rows(rest, derived_rest, [rule]), rare_labels)


def rare_labels_error(path: Path, labels: dict[str, tuple[int, int]], rule: RowRule, *, alike: bool) -> ContentError:
    """Return the error for labels with too few texts. alike: one of them has another spelling that may be merged."""
    shown = [
        f"{label!r} ({texts}" + (f", {before} with bad rows)" if before > texts else ")")
        for label, (texts, before) in labels.items()
    ]
    merge = ", merge spellings with --data.clean-labels" if alike else ""
    return ContentError(
        f"{path} has labels with too few different texts: {shorten(shown)}. Needed: {rule.meaning}.",
        f"Add rows{merge}, or leave these labels out with --data.drop-rare-labels.",
    )


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)[:200]
