"""Digests of the code: all of it for a run, and what a stage executes for that stage."""

import dis
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distributions
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

from lstm_model.digests import digest_file, digest_json
from tasks.runtime.state.local_state import PROJECT

PACKAGES = ("lstm_model", "tasks", "flows")
RUNTIME = "tasks.runtime"  # Left out: it moves and logs what stages compute and changes nothing in it.


def code_digest() -> str:
    """Return one digest over the names and contents of all source files of the pipeline, templates included."""
    files = (path for name in PACKAGES for path in (PROJECT / name).rglob("*") if "__pycache__" not in path.parts)
    return _digest(path for path in files if path.is_file())


@cache
def stage_code_digest(source: Path) -> str:
    """Return one digest over the code that a stage executes and the lock."""
    return digest_json([_digest(executed_files(source)), lock_digest()])


def lock_digest() -> str | None:
    """Return the digest of the lock that was installed: requirements-gpu.lock if it brought cuDNN."""
    kind = "-gpu" if any(distributions(name="nvidia-cudnn-cu12")) else ""
    lock = PROJECT / f"requirements{kind}.lock"
    return digest_file(lock) if lock.exists() else None


def executed_files(source: Path) -> set[Path]:
    """Return the source file and the files of lstm_model and tasks that it imports, directly or not.

    Packages' `__init__.py` count, and files next to a module that it names, such as templates; tasks/runtime does not.
    """
    executed: set[Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path not in executed:
            executed.add(path)
            # Compiled, not parsed by ast: before Python 3.11.8, ast fails if two threads (TensorFlow's tracing, say)
            # use it at once.
            blocks = list(_blocks(compile(path.read_text("utf-8"), path, "exec")))
            waiting += [file for name in _imported(blocks) for file in _files_of(name)]
            executed |= _named_files(blocks, path.parent)
    return executed


def _blocks(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a module and of the classes and functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _blocks(constant)


def _imported(blocks: Iterable[CodeType]) -> set[str]:
    """Return the names that the imports anywhere in the file may import as modules."""
    names = set()
    for before, instruction in (pair for block in blocks for pair in pairwise(dis.get_instructions(block))):
        if instruction.opname == "IMPORT_NAME":  # After the names that `from` imports, or None.
            module = instruction.argval
            names |= {module, *(f"{module}.{name}" for name in before.argval or ())}
    return names


def _strings(constant: Any) -> Iterator[str]:
    """Yield the strings in a constant."""
    if isinstance(constant, str):
        yield constant
    elif isinstance(constant, tuple | frozenset):
        for part in constant:
            yield from _strings(part)


def _files_of(name: str) -> list[Path]:
    """Return the files that importing a module of lstm_model or tasks executes: packages, then the module."""
    parts = name.split(".")
    if parts[0] not in ("lstm_model", "tasks") or f"{name}.".startswith(f"{RUNTIME}."):
        return []
    packages = [PROJECT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, PROJECT.joinpath(*parts).with_suffix(".py")] if path.exists()]


def _named_files(blocks: Iterable[CodeType], folder: Path) -> set[Path]:
    """Return the files, and those in folders, next to a module that a string in it names; none with Python code."""
    strings = {text for block in blocks for constant in block.co_consts for text in _strings(constant)}
    named = [path for path in folder.iterdir() if path.name in strings and not (path / "__init__.py").exists()]
    return {file for path in named for file in [path, *path.rglob("*")] if file.is_file() and file.suffix != ".py"}


def _digest(files: Iterable[Path]) -> str:
    return digest_json([[path.relative_to(PROJECT).as_posix(), digest_file(path)] for path in sorted(files)])
