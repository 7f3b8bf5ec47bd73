"""Rows -> train, validation and test rows, and a manifest that names the part of each row, without its text."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.arrays import Int32
from lstm_model.config.split import SplitConfig
from lstm_model.data.group_split import split_groups
from lstm_model.data.splitting import SPLITS, honour_given_split, read_times, split_counts, split_rows, split_times
from lstm_model.digests import digest_text
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, log_file, log_metrics

LEFT_OUT = "left_out"


def _report(record: StageRecord, run: Run) -> str:
    facts = record.facts
    log_metrics(run, {f"rows.{name}": facts["rows"][name] for name in (*SPLITS, LEFT_OUT)})
    log_file(run, record.file("splits.parquet"), "split")
    rows = [[label, *counts] for label, counts in facts["table"].items()]
    left_out = f"Left out as copies of held-out texts: {facts['rows'][LEFT_OUT]:,}"
    table = markdown_table(["label", *SPLITS], rows)
    since = "".join(f"\n\n{name} begins at {first}" for name, first in facts["since"].items())
    publish_markdown("split", f"{table}\n\n{left_out}{since}", "Rows of each label in each part")
    return ", ".join(f"{facts['rows'][name]:,} {name}" for name in SPLITS) + " rows"


@stage("splits", report=_report)
def split_examples(folder: Path, examples: StageRecord, config: SplitConfig) -> dict[str, Any]:
    """Assign each row to a part, with equal texts in the same part: as a column says, by groups, by time or by label.

    Writes train.parquet, validation.parquet and test.parquet (example_id, text, label and, where examples have it,
    slice), and splits.parquet (example_id, text_digest, label, split).
    """
    rows = pd.read_parquet(examples.file("examples.parquet"))
    digests = rows["text"].map(digest_text)
    split = _split(rows, digests, config)
    manifest = rows[["example_id"]].assign(text_digest=digests, label=rows["label"], split=split.fillna(LEFT_OUT))
    manifest.to_parquet(folder / "splits.parquet", index=False)
    kept = rows[["example_id", "text", "label", *rows.columns.intersection(["slice"])]]
    for name in SPLITS:
        kept[split == name].to_parquet(folder / f"{name}.parquet", index=False)
    times = read_times(rows["time"]) if config.time_column else None
    return {
        "rows": {name: int((manifest["split"] == name).sum()) for name in (*SPLITS, LEFT_OUT)},
        "table": split_counts(split, rows["label"]).T.to_dict("list"),
        "since": {} if times is None else {name: rows["time"][times[split == name].idxmin()] for name in SPLITS},
        **{name: examples.facts[name] for name in ("labels", "inputs", "sha256")},
    }


def _split(rows: pd.DataFrame, text_digests: pd.Series, config: SplitConfig) -> pd.Series:
    """Return the part of each row, None for a row in none, as the split column or the config says."""
    known = {"text_digests": text_digests, "labels": rows["label"], "config": config}
    if "split" in rows:
        return honour_given_split(given=rows["split"], **known)
    if config.time_column:
        return split_times(times=read_times(rows["time"]), **known)
    if config.group_column:
        return split_groups(groups=rows["group"], **known)
    return split_rows(**known)


def read_rows(splits: StageRecord, name: str) -> pd.DataFrame:
    """Return the rows of a part in the order of the file: example_id, text, label and, if recorded, slice."""
    return pd.read_parquet(splits.file(f"{name}.parquet"))


def read_texts(splits: StageRecord, name: str) -> tuple[list[str], Int32]:
    """Return the texts of a part and their label_ids: int32[N], in the order of the file."""
    rows = pd.read_parquet(splits.file(f"{name}.parquet"), columns=["text", "label"])
    label_ids = pd.Categorical(rows["label"], categories=splits.facts["labels"]).codes
    return rows["text"].tolist(), label_ids.astype(np.int32)
