"""The rows of a benchmark: read and split as by the pipeline, and written for all models that are compared."""

from pathlib import Path

import pandas as pd

from lstm_model.config.split import SplitConfig
from lstm_model.data.reading import read_chunks
from lstm_model.data.splitting import SPLITS, honour_given_split, split_rows
from lstm_model.digests import digest_text


def read_labelled_rows(path: Path) -> pd.DataFrame:
    """Return text, label and split of the file's rows; without a column split, they are split as by the pipeline.

    Copies of test texts in train and validation, and copies of validation texts in train, are left out.
    """
    names = ("text", "label", "split")
    rows = pd.concat(list(read_chunks(path, {name: name for name in names})), ignore_index=True)
    facts = {"text_digests": rows["text"].map(digest_text), "labels": rows["label"], "config": SplitConfig()}
    if "split" in rows:
        rows["split"] = honour_given_split(given=rows["split"], **facts)
    else:
        rows["split"] = split_rows(**facts)
    return rows.loc[rows["split"].notna(), list(names)].reset_index(drop=True)


def write_labelled_rows(rows: pd.DataFrame, folder: Path) -> None:
    """Write rows.parquet for `lstm-text train`, and a file of JSON Lines for each split for the peers."""
    rows.to_parquet(folder / "rows.parquet", index=False)
    for split in SPLITS:
        part = rows.loc[rows["split"] == split, ["text", "label"]]
        part.to_json(folder / f"{split}.jsonl", orient="records", lines=True, force_ascii=False)
