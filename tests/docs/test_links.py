"""Links between Markdown files lead to files and headings, images are pictures, the site's lists have every page."""

import ast
import re
import struct
from collections import Counter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "docs/decisions", "deployments", "data", "benchmarks", ".")
PAGES = sorted(page for folder in FOLDERS for page in (PROJECT / folder).glob("*.md"))
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def links(page: Path) -> list[tuple[bool, str]]:
    """Return (is an image, target) of each relative link. Code keeps its length, so that link texts may hold it."""
    text = CODE.sub(lambda found: re.sub(r"[\[\]()]", " ", found[0]), page.read_text("utf-8"))
    return [(mark == "!", target) for mark, target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def problem(page: Path, target: str) -> str | None:
    """Return what is wrong with a link; None if it leads somewhere."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists() or not path.is_relative_to(PROJECT):
        return "no such file"
    return "no such heading" if anchor and anchor not in anchors(path) else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    wrong = {target: problem(page, target) for _, target in links(page)}
    assert {target: why for target, why in wrong.items() if why} == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [("[a](nowhere.md)", "no such file"), ("[a `[x]`](page.md#b)", "no such heading"), ("[a](#c-d)", None),
     ("[a](page.md#c-d)", None), ("`[a](nowhere.md)`", "no link"), ("```\n[a](nowhere.md)\n```", "no link")],
)  # fmt: skip
def test_a_wrong_link_is_found(tmp_path: Path, text: str, why: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PROJECT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"# C, d\n\n{text}\n", "utf-8")
    assert [problem(page, target) for _, target in links(page)] == ([] if why == "no link" else [why])


def test_images_are_pictures_of_sensible_size_and_all_are_used() -> None:
    used = {(page.parent / target).resolve() for page in PAGES for image, target in links(page) if image}
    assert used == set((PROJECT / "docs/images").iterdir())
    for path in sorted(used):
        head = path.read_bytes()
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and head[-8:-4] == b"IEND", f"{path.name} is no whole PNG"
        width, height = struct.unpack(">II", head[16:24])
        assert 600 <= width <= 2_000 and 300 <= height <= 2_000, (path.name, width, height)
        assert 5_000 < len(head) < 200_000, (path.name, len(head))


def test_the_contents_of_the_site_list_each_page_once() -> None:
    conf = (PROJECT / "docs/site/conf.py").read_text("utf-8")
    found = re.search(r"^CONTENTS = (\{.*?^\})", conf, re.DOTALL | re.MULTILINE)
    contents = ast.literal_eval(found[1]) if found else {}
    listed = Counter(page for entries in contents.values() for entry in entries for page in PROJECT.glob(f"{entry}.md"))
    assert set(listed) == set(PAGES) - {PROJECT / "README.md"} and set(listed.values()) == {1}
