"""Compares two runs of one training item by item: equal to the last bit, or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lstm_model.digests import digest_json

SHOWN = 5


@dataclass(frozen=True)
class Item:
    """One compared part of two runs; recorded and found are texts for the reader."""

    name: str
    equal: bool
    recorded: str
    found: str


def compare_values(name: str, *, recorded: Mapping[str, Any], found: Mapping[str, Any], what: str) -> Item:
    """Compare named values, floats bit by bit; the item has their number, or the names and values that differ."""
    keys = [key for key in sorted({*recorded, *found}) if _plain(recorded.get(key)) != _plain(found.get(key))]
    if not keys:
        return Item(name, True, *[f"{len(recorded):,} {what}"] * 2)
    more = f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else ""
    texts = (
        ", ".join(f"{key} {values.get(key, 'missing')}" for key in keys[:SHOWN]) + more for values in (recorded, found)
    )
    return Item(name, False, *texts)


def compare_tables(name: str, *, recorded: pd.DataFrame, found: pd.DataFrame) -> Item:
    """Compare two tables, floats bit by bit; the item has a digest of each, or the columns and rows that differ."""
    digests = [digest_table(table) for table in (recorded, found)]
    if digests[0] == digests[1]:
        return Item(name, True, *digests)
    shapes = [f"{len(table):,} rows of {', '.join(map(str, table))}" for table in (recorded, found)]
    if shapes[0] != shapes[1]:
        return Item(name, False, *shapes)
    texts: tuple[list[str], list[str]] = ([], [])
    for column in recorded:
        pairs = zip(recorded[column].tolist(), found[column].tolist(), strict=True)
        differing = [pair for pair in pairs if _plain(pair[0]) != _plain(pair[1])]
        if differing:
            for text, value in zip(texts, differing[0], strict=True):
                text.append(f"{column} in {len(differing):,} rows (the first: {str(value)[:60]})")
    return Item(name, False, *("; ".join(text[:SHOWN]) for text in texts))


def digest_table(table: pd.DataFrame) -> str:
    """Return one digest over the columns, their names and the order of rows, independent of the file format."""
    columns = {str(name): [_plain(value) for value in table[name].tolist()] for name in table}
    return digest_json([list(columns), columns])


def _plain(value: Any) -> Any:
    """Return None for a missing value, and a float as its hexadecimal digits, so that values compare bit by bit."""
    if value is None or value is pd.NA:
        return None
    return value.hex() if isinstance(value, float) else value
