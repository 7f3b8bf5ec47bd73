"""Labels that look alike: spellings of one label that differ only in what a reader does not see or mean."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from lstm_model.data.texts import BLANK

SHOWN = 5  # More in a warning or an error are only counted.
_INVISIBLE = re.compile(f"[{re.escape(''.join(character for character in BLANK if not character.isspace()))}]")
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*)\.[0-9]+")


def fold_label(label: str) -> str:
    """Return what alike labels share: without case, Unicode form, outer and repeated white space, final zeros.

    "Caf\\u00e9 " and "cafe\\u0301" are alike, and 1, 1.0 and "\\uff11"; 1 and 01 are not: such zeros belong to codes.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    folded = " ".join(_INVISIBLE.sub("", folded).split())
    return folded.rstrip("0").rstrip(".") if _DECIMAL.fullmatch(folded) else folded


def find_alike(counts: Mapping[str, int], listed: Collection[str] = ()) -> list[dict[str, int]]:
    """Return the groups of labels that differ only in spelling, the largest first: spelling -> rows.

    counts: rows of each label. listed: labels that the config names (data.labels), which are kept apart.
    """
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for label, rows in sorted({**dict.fromkeys(listed, 0), **counts}.items(), key=lambda item: (-item[1], item[0])):
        groups[fold_label(label)][label] = rows
    alike = [group for group in groups.values() if len(group) > 1 and not set(group) <= set(listed)]
    return sorted(alike, key=lambda group: -sum(group.values()))


def merges(alike: Iterable[Mapping[str, int]], listed: Collection[str] = ()) -> dict[str, str]:
    """Return label -> the spelling that replaces it: the most frequent of its group, one of `listed` before others."""
    found: dict[str, str] = {}
    for group in alike:
        kept = next((label for label in group if label in listed), next(iter(group)))
        found |= {label: kept for label in group if label != kept and label not in listed}
    return found


def describe_alike(alike: list[dict[str, int]]) -> str:
    """Return the groups as text: each spelling with its rows, the first groups only where there are many."""
    groups = [" and ".join(f"{label!r} ({rows:,})" for label, rows in group.items()) for group in alike]
    return shorten(groups, separator="; ")


def shorten(items: list[str], *, separator: str = ", ") -> str:
    """Return the first items as text, and how many more there are."""
    more = f"{separator}and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
    return separator.join(items[:SHOWN]) + more
