"""docs/errors.md quotes messages and flags that exist: the page cannot drift away from the source."""

import ast
import contextlib
import io
import re
from importlib import import_module
from pathlib import Path

import pytest

from flows.cli import COMMANDS
from flows.settings import parse

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs/errors.md").read_text("utf-8")
MESSAGES = re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)
GAP = "\0"  # Stands for what a message fills in.


def templates() -> list[str]:
    """Return the texts of the product's source, with a gap for each value that is filled in."""
    texts = []
    for folder in ("lstm_model", "tasks", "flows"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
            docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            for node in nodes:
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
                    texts.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    texts.append(re.sub(r"\{\w*\}", GAP, node.value))
    return texts


TEMPLATES = templates()


def is_said(message: str) -> bool:
    """Return whether a text of the source has the fixed words of a message, in its order."""
    parts = [part.strip() for part in message.replace("\\|", "|").split("...")]
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return any(pattern.search(template) for template in TEMPLATES)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_source_has_each_quoted_message(message: str) -> None:
    assert len(message.replace("...", "")) > 7, "too few words to recognise"
    assert is_said(message)


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert len(MESSAGES) > 25
    assert not is_said("... has no collumn ...") and not is_said("(found: ...) ... needs the columns")


@pytest.fixture(scope="module")
def known_flags() -> set[str]:
    helped = io.StringIO()
    for name in COMMANDS:
        with contextlib.redirect_stdout(helped), pytest.raises(SystemExit):
            parse(import_module(f"flows.commands.{name}").Settings, ["--help"])
    return set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", helped.getvalue()))


@pytest.mark.parametrize("page", ["errors.md", "tutorial.md"])
def test_the_flags_of_the_page_exist(page: str, known_flags: set[str]) -> None:
    # Of `lstm-text` alone: other tools' commands have flags of their own.
    text = re.sub(r"^(prefect|curl) .*$", "", (PROJECT / "docs" / page).read_text("utf-8"), flags=re.MULTILINE)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", text)) - {"--name"}
    assert named - known_flags == set()
