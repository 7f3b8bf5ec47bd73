"""SHA-256 digests of what a stage depends on: contents, never paths or times."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def digest_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_text(text: str) -> str:
    """Return the SHA-256 of the string's UTF-8 bytes, in hexadecimal; lone surrogates are kept apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_json(value: Any) -> str:
    """Return the digest of a JSON-serializable value; the order of a dictionary's keys does not matter."""
    return digest_text(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def digest_sources(paths: Iterable[Path]) -> str:
    """Return one digest over names and contents of source files; comments count, since no parser removes them."""
    return digest_json(sorted((path.name, digest_file(path)) for path in paths))
