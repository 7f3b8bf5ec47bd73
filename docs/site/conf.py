"""The pages as a site: `make docs-site` builds it into build/docs. It loads nothing from elsewhere.

Sphinx, since MkDocs 1 has had no release since 2024 and MkDocs 2 drops the plugins and themes that sites use.
"""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = html_title = "lstm-text"
extensions = ["myst_parser"]
# The source folder is the root of the checkout, so that links between pages are those of the repository.
root_doc = "README"
include_patterns = ["*.md", "data/*.md", "deployments/*.md", "docs/**.md"]
exclude_patterns = [".*"]
templates_path = ["templates"]
html_theme = "furo"
html_show_sphinx = html_show_copyright = html_copy_source = False
html_additional_pages = {"index": "index.html"}
myst_heading_anchors = 4

# With warnings as errors, the build fails for a page in none of these lists.
CONTENTS = {
    "Start": ["docs/tutorial", "docs/errors", "docs/data-format", "data/README"],
    "Train": ["docs/configuration", "docs/runs", "docs/tuning", "docs/reproduce"],
    "Judge": ["docs/evaluation", "docs/reports", "docs/promotion", "docs/results"],
    "Run": ["docs/serving", "docs/monitoring", "deployments/README", "docs/team"],
    "Project": ["docs/architecture", "CONTRIBUTING", "CHANGELOG", "docs/decisions/*"],
}
LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import""",
    re.I,
)


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Append the lists of pages to the first page; elsewhere the README is shown without them."""
    if name == root_doc:
        for caption, pages in CONTENTS.items():
            listed = "\n".join(f"/{page}" for page in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{listed}\n```\n"


def check_that_nothing_is_loaded(app: Sphinx, error: Exception | None) -> None:
    """Raise ValueError if a page or style sheet loads something from another host."""
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css") and (found := LOADED.search(path.read_text("utf-8"))):
            raise ValueError(f"{path} loads something from elsewhere: {found[0]}")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", add_contents)
    app.connect("build-finished", check_that_nothing_is_loaded)
