"""JSON as rows: JSON Lines, an array of objects, or objects that are written over several lines.

Rows that annotation tools export become flat rows:

- Label Studio, JSON: {"data": {"text": ...}, "annotations": [{"result": [{"from_name": "topic", "value": {"choices":
  ["sport"]}}]}]}. The keys of `data` become columns; the choices become `label`, and a column of the control's name.
- Prodigy: {"text": ..., "accept": ["sport"], "answer": "accept"}, or with "label" instead of "accept".
- doccano: {"text": ..., "label": ["sport"]}, which is flat already.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lstm_model.data.formats.lines import LONGEST_LINE, Reading, numbered_lines, open_text
from lstm_model.data.formats.packed import BLOCK
from lstm_model.data.text_columns import is_text
from lstm_model.data.texts import NoText, scalar_string, text_problem
from lstm_model.errors import ContentError

# Python's json knows NaN, which JSON does not have: pandas and NumPy write it for a missing value.
_DECODER = json.JSONDecoder(parse_constant=lambda name: None if name == "NaN" else float(name))
MOST_KEYS = 10_000  # Of the first rows; bounds memory.
_BETWEEN = re.compile(r"[\s,]*")


def json_rows(path: Path, encoding: str | None, *, by_lines: bool) -> Iterator[tuple[int, dict[str, Any], bool]]:
    """Yield (line number, object, whether it has an accepted answer: see `_flat_row`).

    by_lines: one object per line, blank lines left out. Raises ContentError for an empty file, and with the line for
    what is no JSON object.
    """
    number = 0
    for number, value in (_values_of_lines if by_lines else _values)(path, encoding):
        if not isinstance(value, dict):
            raise _no_object(path, number, f"found a {type(value).__name__}")
        yield number, *_flat_row(value)
    if not number:
        raise ContentError(f"{path} is an empty file.", "Check the export.")


def _values_of_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, Any]]:
    for number, line in numbered_lines(path, encoding):
        if line.strip():
            try:
                yield number, _DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                raise _no_object(path, number, error) from None


def _values(path: Path, encoding: str | None) -> Iterator[tuple[int, Any]]:
    """Yield the values of an array, or values one after the other, each with the line where it starts."""
    with open_text(path, encoding) as file:
        text, line = file.read(BLOCK), 1
        in_array = text.lstrip().startswith("[")
        at = text.index("[") + 1 if in_array else 0
        while text:
            start = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # It also matches nothing.
            line += text.count("\n", at, start)
            if start == len(text):
                text, at = file.read(BLOCK), 0
                continue
            if in_array and text[start] == "]":
                if (text[start + 1 :] + file.read(BLOCK)).strip():
                    raise _no_object(path, line, "something follows the array")
                return
            try:
                value, at = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError) as error:
                number = line + text.count("\n", start, getattr(error, "pos", start))
                text, at = text[start:], 0
                if len(text) < LONGEST_LINE and (more := file.read(max(BLOCK, len(text)))):
                    text += more  # The value may go on there.
                    continue
                raise _no_object(path, number, error) from None
            yield line, value
            line += text.count("\n", start, at)
        if in_array:
            problem = f"{path} ends in line {line}, before its JSON array does."
            raise ContentError(problem, "It is cut off. Copy or download it again.")


def _flat_row(row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the row with its labels as `label`, and whether an annotator gave them (True for all other rows)."""
    if isinstance(row.get("annotations"), list) and isinstance(row.get("data"), dict):
        choices = _choices(row["annotations"])
        together = {"label": _unique(choices.values())} if choices else {}
        return {"id": row.get("id"), **row["data"], **choices, **together}, bool(choices)
    if row.get("answer") in ("accept", "reject", "ignore"):
        label = row.get("accept", row.get("label"))
        return {**row, "label": label}, row["answer"] == "accept" and label not in (None, [])
    return row, True


def _choices(annotations: list[Any]) -> dict[str, list[Any]]:
    """Return the choices of each control; those of annotators who agree once."""
    found: dict[str, list[list[Any]]] = {}
    for annotation in annotations:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            results = annotation.get("result")
            for result in results if isinstance(results, list) else ():
                if isinstance(result, dict) and isinstance(value := result.get("value"), dict) and "choices" in value:
                    found.setdefault(str(result.get("from_name")), []).append(value["choices"])
    return {name: _unique(lists) for name, lists in found.items()}


def _unique(lists: Any) -> list[Any]:
    """Return the items of all lists, each once, in order."""
    items = [item for some in lists for item in (some if isinstance(some, list) else [some])]
    return [item for place, item in enumerate(items) if item not in items[:place]]


def _no_object(path: Path, number: int, problem: str | Exception) -> ContentError:
    if isinstance(problem, json.JSONDecodeError):
        problem = f"{problem.msg} at character {problem.colno}"
    elif isinstance(problem, RecursionError):
        problem = "values nested too deeply"
    elif isinstance(problem, ValueError):  # Python's limit, the only other thing that json rejects.
        problem = "an integer of more than 4,300 digits"
    return ContentError(
        f"Line {number} of {path} is not one JSON object: {problem}.",
        "Write one object per line, such as {'text': ..., 'label': ...} with double quotes, or an array of objects.",
    )


def json_keys(path: Path, encoding: str | None, names: Collection[str], *, by_lines: bool) -> list[str]:
    """Return the keys of the first 100 rows in order of appearance, and of later ones until all the names occur."""
    keys: dict[str, None] = {}
    missing = set(names)
    for count, (_, row, _) in enumerate(json_rows(path, encoding, by_lines=by_lines), 1):
        if count <= 100 and len(keys) < MOST_KEYS:
            keys.update(dict.fromkeys(row))
        found = [name for name in missing if name in row or _value(row, name) is not None]
        keys.update(dict.fromkeys(sorted(found)))
        missing.difference_update(found)
        if count >= 100 and not missing:
            break
    return list(keys)


def _value(row: dict[str, Any], key: str) -> Any:
    """Return the value of a key, or of the path `meta.source` where that is no key; None if there is none."""
    value = row.get(key)
    if value is None and "." in key:
        outer, _, inner = key.partition(".")
        value = _value(row[outer], inner) if isinstance(row.get(outer), dict) else None
    return value


def json_values(
    path: Path, encoding: str | None, columns: Mapping[str, str], reading: Reading, *, by_lines: bool
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of the columns (name in the result -> key): text or NoText, any other as a string or None.

    Where labels are read, rows without an accepted answer are left out, and counted.
    """
    for number, row, answered in json_rows(path, encoding, by_lines=by_lines):
        if not answered and "label" in columns:
            reading.unanswered += 1
            continue
        yield tuple(
            _text(_value(row, key)) if is_text(name) else _string(_value(row, key), key, number, path)
            for name, key in columns.items()
        )


def _text(value: Any) -> str | NoText | None:
    """Return a string or null as it is, and any other value as a NoText, which is small."""
    return value if value is None or isinstance(value, str) else NoText(str(text_problem(value)))


def _string(value: Any, key: str, number: int, path: Path) -> str | None:
    try:
        return scalar_string(value)
    except ValueError as error:
        problem = f"{key!r} in line {number} of {path} is {error}."
        raise ContentError(problem, "Write ids and labels as strings or numbers, one label per row.") from None
