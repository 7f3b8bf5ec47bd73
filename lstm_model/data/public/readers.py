"""The files of public data sets become rows: id, text, label, split, with the publisher's split and labels' names."""

import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from lstm_model.errors import ContentError

AG_NEWS_LABELS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
MEMBER_BYTES = 10_000_000  # The longest review or post has under 1 MB.


def read_ag_news(folder: Path) -> pd.DataFrame:
    """Read two CSV files without a header: number of the label, title, description."""

    def part(split: str) -> pd.DataFrame:
        rows = _read_csv(folder / f"{split}.csv", ["label", "title", "description"])
        return _rows(split, rows["title"] + " " + rows["description"], rows["label"].map(AG_NEWS_LABELS))

    return pd.concat([part("train"), part("test")], ignore_index=True)


def read_banking77(folder: Path) -> pd.DataFrame:
    """Read two CSV files with the columns text and category."""

    def part(split: str) -> pd.DataFrame:
        rows = _read_csv(folder / f"{split}.csv")
        return _rows(split, rows["text"], rows["category"])

    return pd.concat([part("train"), part("test")], ignore_index=True)


def read_trec(folder: Path) -> pd.DataFrame:
    """Read two files with a line per question: `COARSE:fine the question`, in Latin-1."""

    def part(split: str, name: str) -> pd.DataFrame:
        lines = (folder / name).read_text("latin-1").strip("\n").split("\n")
        labels, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
        return _rows(split, texts, [label.partition(":")[0] for label in labels])

    return pd.concat([part("train", "train_5500.label"), part("test", "TREC_10.label")], ignore_index=True)


def read_imdb(folder: Path) -> pd.DataFrame:
    """Read the archive with a file per review: aclImdb/train/pos/0_9.txt, where 9 is the stars."""
    pattern = re.compile(r"aclImdb/(?P<split>train|test)/(?P<label>neg|pos)/\d+_\d+\.txt")
    rows = _read_members(folder / "aclImdb_v1.tar.gz", pattern, encoding="utf-8")
    return rows.assign(text=rows["text"].str.replace("<br />", " ", regex=False))


def read_20_newsgroups(folder: Path) -> pd.DataFrame:
    """Read the archive with a file per post: 20news-bydate-train/sci.space/60150."""
    from sklearn.datasets import _twenty_newsgroups as newsgroups

    pattern = re.compile(r"20news-bydate-(?P<split>train|test)/(?P<label>[a-z.-]+)/\d+")
    rows = _read_members(folder / "20news-bydate.tar.gz", pattern, encoding="latin-1")
    # In this order, as fetch_20newsgroups(remove=("headers", "footers", "quotes")) does.
    for strip in ("header", "footer", "quoting"):
        rows["text"] = rows["text"].map(getattr(newsgroups, f"strip_newsgroup_{strip}"))
    return rows[rows["text"].str.strip() != ""].reset_index(drop=True)


def read_clinc150(folder: Path) -> pd.DataFrame:
    """Read the JSON object with pairs of text and label in `train`, `val` and `test`, besides three of `oos`."""
    parts = json.loads((folder / "data_full.json").read_text("utf-8"))
    names = {"train": "train", "val": "validation", "test": "test"}
    return pd.concat([_rows(split, *zip(*parts[key], strict=True)) for key, split in names.items()], ignore_index=True)


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "ag-news": read_ag_news,
    "trec": read_trec,
    "imdb": read_imdb,
    "banking77": read_banking77,
    "20-newsgroups": read_20_newsgroups,
    "clinc150": read_clinc150,
}


def _rows(split: str, texts: object, labels: object) -> pd.DataFrame:
    rows = pd.DataFrame({"text": texts, "label": labels, "split": split})
    rows.insert(0, "id", [f"{split}-{number}" for number in range(1, len(rows) + 1)])
    return rows


def _read_csv(path: Path, names: list[str] | None = None) -> pd.DataFrame:
    return pd.read_csv(path, header=None if names else 0, names=names, dtype=str, keep_default_na=False)


def _read_members(path: Path, pattern: re.Pattern[str], *, encoding: str) -> pd.DataFrame:
    """Return a row per file of a tar archive whose whole name fits, its groups as columns. Nothing is unpacked."""
    columns = ["id", "text", *pattern.groupindex]
    return pd.DataFrame(_members(path, pattern, encoding), columns=columns)[["id", "text", "label", "split"]]


def _members(path: Path, pattern: re.Pattern[str], encoding: str) -> Iterator[tuple[str, ...]]:
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            found = pattern.fullmatch(member.name.removeprefix("./"))
            if not found or not member.isfile():
                continue
            if member.size > MEMBER_BYTES:
                raise ContentError(
                    f"{member.name} in {path} has {member.size:,} bytes; at most {MEMBER_BYTES:,} are expected.",
                    "Delete the archive and run the same command again.",
                )
            content = archive.extractfile(member)
            assert content is not None  # It is a file.
            yield found[0], content.read().decode(encoding), *found.groups()
