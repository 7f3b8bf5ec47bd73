"""The files of public data sets become rows: id, text, label, split, with the publisher's split and labels' names."""

import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lstm_model.errors import ContentError

AG_NEWS_LABELS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
COLUMNS = ["id", "text", "label", "split"]
MEMBER_BYTES = 10_000_000  # The longest review or post has under 1 MB.


def read_ag_news(folder: Path) -> pd.DataFrame:
    """Read two CSV files without a header: number of the label, title, description."""
    rows = _read_csv_files(folder, ["label", "title", "description"])
    texts = rows["title"] + " " + rows["description"]
    return _numbered(rows.assign(text=texts, label=rows["label"].map(AG_NEWS_LABELS)))


def read_banking77(folder: Path) -> pd.DataFrame:
    """Read two CSV files with the columns text and category."""
    return _numbered(_read_csv_files(folder).rename(columns={"category": "label"}))


def read_trec(folder: Path) -> pd.DataFrame:
    """Read two files with a line per question: `COARSE:fine the question`, in Latin-1."""
    files = {"train": "train_5500.label", "test": "TREC_10.label"}
    rows = [
        {"text": question, "label": label, "split": split}
        for split, name in files.items()
        for label, question in re.findall(r"(\w+):\S+ (.*)", (folder / name).read_text("latin-1"))
    ]
    return _numbered(pd.DataFrame(rows))


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
    splits = {"train": "train", "val": "validation", "test": "test"}
    rows = [(text, label, split) for part, split in splits.items() for text, label in parts[part]]
    return _numbered(pd.DataFrame(rows, columns=["text", "label", "split"]))


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "ag-news": read_ag_news,
    "trec": read_trec,
    "imdb": read_imdb,
    "banking77": read_banking77,
    "20-newsgroups": read_20_newsgroups,
    "clinc150": read_clinc150,
}


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    numbers = rows.groupby("split").cumcount() + 1
    return rows.assign(id=rows["split"] + "-" + numbers.astype(str))[COLUMNS]


def _read_csv_files(folder: Path, names: list[str] | None = None) -> pd.DataFrame:
    """Return the rows of train.csv and test.csv with their split. names: of the columns, if there is no header."""
    parts = []
    for split in ("train", "test"):
        header = None if names else 0
        rows = pd.read_csv(folder / f"{split}.csv", header=header, names=names, dtype=str, keep_default_na=False)
        parts.append(rows.assign(split=split))
    return pd.concat(parts, ignore_index=True)


def _read_members(path: Path, pattern: re.Pattern[str], *, encoding: str) -> pd.DataFrame:
    """Return a row per file of a tar archive whose whole name fits, its groups as columns. Nothing is unpacked."""
    rows = []
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            found = pattern.fullmatch(member.name.removeprefix("./"))
            if not found or not member.isfile():
                continue
            if member.size > MEMBER_BYTES:
                problem = f"{member.name} in {path} has {member.size:,} bytes; at most {MEMBER_BYTES:,} are expected."
                raise ContentError(problem, "Delete the archive and run the same command again.")
            content = archive.extractfile(member)
            assert content is not None  # It is a file.
            rows.append({"id": found[0], "text": content.read().decode(encoding), **found.groupdict()})
    return pd.DataFrame(rows, columns=COLUMNS)
