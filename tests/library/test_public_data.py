"""Public data sets in their publishers' formats become rows with the publisher's split."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from lstm_model.data.public import readers
from lstm_model.data.public.catalogue import CATALOGUE
from lstm_model.data.public.readers import READERS
from lstm_model.errors import ContentError


def tar_gz(members: dict[str, bytes], *, link: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return packed.getvalue()


POST = b"""From: me@here
Subject: orbit

In article <1@there> you wrote:
> It cannot fly.
It flies, says the caf\xe9.

--
me
"""

# name of the data set, its files, the rows expected
FILES: dict[str, tuple[dict[str, bytes], list[tuple[str, str, str, str]]]] = {
    "ag-news": (
        {
            "train.csv": b'"3","Wall St. ""Bears""","Short-sellers, again"\n"4","NA","null"\n',
            "test.csv": b'"1","Fears","Unions say\\they are"\n"2","","Goal"\n',
        },
        [
            ("train-1", 'Wall St. "Bears" Short-sellers, again', "Business", "train"),
            ("train-2", "NA null", "Sci/Tech", "train"),
            ("test-1", "Fears Unions say\\they are", "World", "test"),
            ("test-2", " Goal", "Sports", "test"),
        ],
    ),
    "trec": (
        {
            "train_5500.label": b"DESC:manner How did serfdom develop ?\nLOC:city Which sister\xf0city : LA ?\n",
            "TREC_10.label": b"NUM:dist How far is it ?\n",
        },
        [
            ("train-1", "How did serfdom develop ?", "DESC", "train"),
            ("train-2", "Which sister\xf0city : LA ?", "LOC", "train"),
            ("test-1", "How far is it ?", "NUM", "test"),
        ],
    ),
    "imdb": (
        {
            "aclImdb_v1.tar.gz": tar_gz(
                {
                    "aclImdb/test/neg/0_2.txt": "Né.<br /><br />Bad".encode(),
                    "aclImdb/train/pos/7_9.txt": b"Good",
                    "aclImdb/train/unsup/0_0.txt": b"no label",
                    "aclImdb/train/labeledBow.feat": b"9 0:9",
                    "aclImdb/../../aclImdb/train/pos/8_9.txt": b"outside",
                    "/aclImdb/train/pos/9_9.txt": b"outside",
                },
                link="aclImdb/train/pos/10_9.txt",
            )
        },
        [
            ("aclImdb/test/neg/0_2.txt", "Né.  Bad", "neg", "test"),
            ("aclImdb/train/pos/7_9.txt", "Good", "pos", "train"),
        ],
    ),
    "banking77": (
        {
            "train.csv": b'text,category\nWhere is my card?,card_arrival\n"Two\nlines, please",reverted?\n',
            "test.csv": b"text,category\nHelp,card_arrival\n",
        },
        [
            ("train-1", "Where is my card?", "card_arrival", "train"),
            ("train-2", "Two\nlines, please", "reverted?", "train"),
            ("test-1", "Help", "card_arrival", "test"),
        ],
    ),
    "20-newsgroups": (
        {
            "20news-bydate.tar.gz": tar_gz(
                {
                    "20news-bydate-train/sci.space/60150": POST,
                    "20news-bydate-train/sci.space/60151": b"From: me\n\n> nothing of my own\n",
                    "20news-bydate-test/talk.politics.mideast/7": b"From: you\n\nPeace.\n\nyou\n",
                }
            )
        },
        [
            ("20news-bydate-train/sci.space/60150", "It flies, says the caf\xe9.\n", "sci.space", "train"),
            ("20news-bydate-test/talk.politics.mideast/7", "Peace.", "talk.politics.mideast", "test"),
        ],
    ),
    "clinc150": (
        {
            "data_full.json": json.dumps(
                {
                    "oos_val": [["set a warning", "oos"]],
                    "val": [["in spanish", "translate"]],
                    "train": [["what is fr for hi", "translate"], ["pay it", "pay_bill"]],
                    "oos_test": [["how much debt", "oos"]],
                    "test": [["bill please", "pay_bill"]],
                    "oos_train": [["a sock", "oos"]],
                }
            ).encode()
        },
        [
            ("train-1", "what is fr for hi", "translate", "train"),
            ("train-2", "pay it", "pay_bill", "train"),
            ("validation-1", "in spanish", "translate", "validation"),
            ("test-1", "bill please", "pay_bill", "test"),
        ],
    ),
}


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_each_format_becomes_rows(name: str, tmp_path: Path) -> None:
    files, expected = FILES[name]
    assert set(files) == {file.name for file in CATALOGUE[name].files}
    for file, content in files.items():
        Path(tmp_path, file).write_bytes(content)

    rows = READERS[name](tmp_path)

    assert list(rows.columns) == ["id", "text", "label", "split"]
    assert list(rows.itertuples(index=False, name=None)) == expected


def test_an_oversized_member_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MEMBER_BYTES", 3)
    Path(tmp_path, "aclImdb_v1.tar.gz").write_bytes(FILES["imdb"][0]["aclImdb_v1.tar.gz"])
    with pytest.raises(ContentError, match=r"aclImdb/test/neg/0_2\.txt .* has 19 bytes"):
        READERS["imdb"](tmp_path)


def test_every_file_has_a_checksum_and_an_address() -> None:
    files = [file for data in CATALOGUE.values() for file in data.files]
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in files)
    assert all(url.startswith(("https://", "http://qwone.com/")) for file in files for url in file.urls)
