"""A page taken apart with the standard library's parser: its text, what it would load, and how it is built."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}
LOADING = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "background"}


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.unnamed_plots = 0
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.loaded += [value or "" for name, value in attrs if name in LOADING and tag != "a"]
        self.loaded += re.findall(r"url\(([^)]*)\)", given.get("style") or "")
        if tag == "svg" and not given.get("aria-label") and given.get("aria-hidden") != "true":
            self.unnamed_plots += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.loaded += re.findall(r"@import[^;]*|url\(([^)]*)\)", data)
            return
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())
