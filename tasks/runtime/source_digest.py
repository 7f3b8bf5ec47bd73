"""Digests of the code: all of it for a run, and what a stage executes for that stage."""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distributions
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType
from typing import Any

from lstm_model.digests import digest_file, digest_json
from tasks.runtime.state.local_state import PROJECT

PACKAGES = ("lstm_model", "tasks", "flows")


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
            constants = set(_constants(compile(path.read_text("utf-8"), path, "exec")))
            waiting += [file for name in _imported(constants) for file in _files_of(name)]
            executed |= _named_files(constants, path.parent)
    return executed


def _constants(constant: Any) -> Iterator[Any]:
    """Yield a constant and those in it: a module's code has that of its classes and functions, strings and tuples."""
    yield constant
    inside = constant.co_consts if isinstance(constant, CodeType) else constant
    if isinstance(inside, tuple | frozenset):
        for part in inside:
            yield from _constants(part)


def _imported(constants: set[Any]) -> set[str]:
    """Return the names that the imports anywhere in the file may import as modules."""
    names = set()
    for code in (constant for constant in constants if isinstance(constant, CodeType)):
        for kind, found in ModuleFinder().scan_opcodes(code):
            if kind == "absolute_import":  # `found` is the names that `from` imports, or None, and the module.
                names |= {found[1], *(f"{found[1]}.{name}" for name in found[0] or ())}
    return names


def _files_of(name: str) -> list[Path]:
    """Return the files that importing a module of lstm_model or tasks executes: packages, then the module."""
    parts = name.split(".")
    # tasks/runtime is left out: it moves and logs what stages compute and changes nothing in it.
    if parts[0] not in ("lstm_model", "tasks") or parts[:2] == ["tasks", "runtime"]:
        return []
    packages = [PROJECT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, PROJECT.joinpath(*parts).with_suffix(".py")] if path.exists()]


def _named_files(constants: set[Any], folder: Path) -> set[Path]:
    """Return the files, and those in folders, next to a module that a string in it names; none with Python code."""
    named = [path for path in folder.iterdir() if path.name in constants and not (path / "__init__.py").exists()]
    return {file for path in named for file in [path, *path.rglob("*")] if file.is_file() and file.suffix != ".py"}


def _digest(files: Iterable[Path]) -> str:
    return digest_json([[path.relative_to(PROJECT).as_posix(), digest_file(path)] for path in sorted(files)])
