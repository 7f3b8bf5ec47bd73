"""JSON Lines as rows: one object per line, blank lines left out."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lstm_model.data.lines import numbered_lines
from lstm_model.data.texts import is_text, text_problem
from lstm_model.errors import ContentError

# Python's json knows NaN, which JSON does not have: pandas and NumPy write it for a missing value.
_DECODER = json.JSONDecoder(parse_constant=lambda name: None if name == "NaN" else float(name))


def json_rows(path: Path, digest: Any = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object). Raises ContentError for an empty file and for a line that is no JSON object."""
    empty = True
    for number, line in numbered_lines(path, digest):
        if line.strip():
            empty = False
            yield number, _decode(path, number, line)
    if empty:
        raise ContentError(f"{path} is an empty file.", "Check the export.")


def _decode(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = _DECODER.decode(line)
        if isinstance(row, dict):
            return row
        problem = f"found a {type(row).__name__}"
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at character {error.colno}"
    except RecursionError:
        problem = "values nested too deeply"
    except ValueError:  # Python's limit on digits, the only other thing that json rejects.
        problem = "an integer of more than 4,300 digits"
    raise ContentError(
        f"Line {number} of {path} is not one JSON object: {problem}.",
        "Write one object per line, such as {'text': ..., 'label': ...} with double quotes.",
    )


def json_values(path: Path, columns: Mapping[str, str], digest: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the values of the columns (name in the result -> key): text as it is, any other as a string or None."""
    for number, row in json_rows(path, digest):
        yield tuple(
            row.get(key) if is_text(name) else _as_string(row.get(key), key, number, path)
            for name, key in columns.items()
        )


def _as_string(value: Any, key: str, number: int, path: Path) -> str | None:
    """Return an id, label or split value as a string: numbers as their digits, null and NaN as None."""
    if value is None or (isinstance(value, str) and text_problem(value) is None):
        return value
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return json.dumps(value)
    raise ContentError(
        f"{key!r} in line {number} of {path} is neither a string nor a number: {json.dumps(value)[:80]}.",
        "Write ids and labels as strings.",
    )
