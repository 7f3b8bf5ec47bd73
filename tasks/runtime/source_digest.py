"""Digests of the code: all of it for a run, and what a stage executes for that stage."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

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
    """Return one digest over the code that a stage executes and requirements.lock."""
    lock = PROJECT / "requirements.lock"
    return digest_json([_digest(executed_files(source)), digest_file(lock) if lock.exists() else None])


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
            tree = ast.parse(path.read_text("utf-8"))
            waiting += [file for name in _imported(tree) for file in _files_of(name)]
            executed |= _named_files(tree, path.parent)
    return executed


def _imported(tree: ast.Module) -> set[str]:
    """Return the names that the imports anywhere in the file may import as modules."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _files_of(name: str) -> list[Path]:
    """Return the files that importing a module of lstm_model or tasks executes: packages, then the module."""
    parts = name.split(".")
    if parts[0] not in ("lstm_model", "tasks") or f"{name}.".startswith(f"{RUNTIME}."):
        return []
    packages = [PROJECT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in [*packages, PROJECT.joinpath(*parts).with_suffix(".py")] if path.exists()]


def _named_files(tree: ast.Module, folder: Path) -> set[Path]:
    """Return the files, and those in folders, next to a module that a string in it names; none with Python code."""
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    named = [path for path in folder.iterdir() if path.name in strings and not (path / "__init__.py").exists()]
    return {file for path in named for file in [path, *path.rglob("*")] if file.is_file() and file.suffix != ".py"}


def _digest(files: Iterable[Path]) -> str:
    return digest_json([[path.relative_to(PROJECT).as_posix(), digest_file(path)] for path in sorted(files)])
