"""The labelled file -> raw rows as strings, not validated yet."""

from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.data.columns import check_columns
from lstm_model.data.reading import file_format, read_chunks, unchanged_file
from lstm_model.data.texts import BLANK
from lstm_model.errors import ContentError
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, log_metrics, set_tags


def _report(record: StageRecord, run: Run) -> str:
    facts = record.facts
    set_tags(run, {"data_digest": facts["sha256"]})
    log_metrics(run, {"rows.read": facts["rows"]})
    return f"{facts['rows']:,} rows" + (f" ({facts['lines']})" if facts["lines"] else "")


@stage("raw", report=_report, reads=lambda config, **others: file_format(config.path))
def load_examples(folder: Path, config: DataConfig, other_columns: dict[str, str | None], run: Run) -> dict[str, Any]:
    """Read the labelled file into raw.parquet, all strings.

    Columns: example_id, text, label and problem (why a text is not a string), split if the config names it, and
    other_columns: name there -> name in the file.
    """
    columns = check_columns(config, other_columns)
    progress = Progress("load-progress", f"reading {config.path.name}", total=None, unit="rows")
    chunks: list[pd.DataFrame] = []
    sha256 = run.sha256_of(config.path)
    with unchanged_file(config.path, sha256) as reading:
        for chunk in read_chunks(config.path, columns, dialect=config.dialect, reading=reading):
            chunks.append(chunk)
            progress.set(sum(map(len, chunks)))
    progress.close()
    if not chunks:
        what = "no row with an accepted answer" if reading.unanswered else "a header only and no rows"
        raise ContentError(f"{config.path} has {what}.", "Check the export.")
    frame = pd.concat(chunks, ignore_index=True)
    remarks = []
    guessed = config.id_column is None and "example_id" in frame
    if guessed and (frame["example_id"].duplicated() | (frame["example_id"].fillna("").str.strip(BLANK) == "")).any():
        del frame["example_id"]
        remarks = ["Column 'id' repeats or has blanks, so rows are numbered; --data.id-column id would insist on it."]
    if "example_id" not in frame:
        frame.insert(0, "example_id", pd.Series(map(str, range(1, len(frame) + 1)), dtype=object))
    frame.to_parquet(folder / "raw.parquet", index=False)
    return {"rows": len(frame), "sha256": sha256, "lines": reading.account, "remarks": remarks}
