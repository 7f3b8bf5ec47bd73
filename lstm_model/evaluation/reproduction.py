"""Two runs of one training, item by item: equal or not, to the last bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lstm_model.digests import digest_json

SHOWN = 5


@dataclass(frozen=True)
class Item:
    """One thing that two runs have in common or not; recorded and found are for a person to read."""

    name: str
    equal: bool
    recorded: str
    found: str


def compare_values(name: str, *, recorded: Mapping[str, Any], found: Mapping[str, Any], what: str) -> Item:
    """Compare named values, floats bit by bit; the item says how many there are and names those that differ."""
    keys = [key for key in sorted({*recorded, *found}) if not _same(recorded.get(key), found.get(key))]
    if not keys:
        counted = f"{len(recorded):,} {what}"
        return Item(name, True, counted, counted)
    more = f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else ""

    def told(values: Mapping[str, Any]) -> str:
        return ", ".join(f"{key} {values.get(key, 'missing')}" for key in keys[:SHOWN]) + more

    return Item(name, False, told(recorded), told(found))


def compare_tables(name: str, *, recorded: pd.DataFrame, found: pd.DataFrame) -> Item:
    """Compare two tables, floats bit by bit; the item holds a digest of each, or says which columns and rows differ."""
    digests = [digest_table(table) for table in (recorded, found)]
    if digests[0] == digests[1]:
        return Item(name, True, *digests)
    shapes = [f"{len(table):,} rows of {', '.join(map(str, table))}" for table in (recorded, found)]
    if shapes[0] != shapes[1]:
        return Item(name, False, *shapes)
    parts: tuple[list[str], list[str]] = ([], [])
    for column in recorded:
        here, there = recorded[column].tolist(), found[column].tolist()
        rows = [row for row in range(len(here)) if not _same(here[row], there[row])]
        if rows:
            for part, values in zip(parts, (here, there), strict=True):
                part.append(f"{column} in {len(rows):,} rows (the first: {str(values[rows[0]])[:60]})")
    return Item(name, False, *("; ".join(part[:SHOWN]) for part in parts))


def digest_table(table: pd.DataFrame) -> str:
    """Return one digest over the columns, their names and the order of rows; the format of the file does not matter."""
    columns = {str(name): [_plain(value) for value in table[name].tolist()] for name in table}
    return digest_json([list(columns), columns])


def _same(one: Any, other: Any) -> bool:
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """Return a value that compares as its bits do: a missing one as None, a float by all its digits."""
    if value is None or value is pd.NA:
        return None
    return value.hex() if isinstance(value, float) else value
