"""The labelled file -> raw rows as strings, not validated yet."""

from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.data.parts import digest_input
from lstm_model.data.reading import file_format, read_chunks, read_columns, unchanged_file
from lstm_model.data.row_rules import missing_columns, missing_slice_column, wanted_columns
from lstm_model.errors import ContentError
from tasks.runtime import tracking
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run


def _contents(config: DataConfig, run: Run | None = None, **others: Any) -> list[str]:
    return [file_format(config.path), run.sha256_of(config.path) if run else digest_input(config.path)]


def _report(record: StageRecord, run: Run) -> None:
    facts = record.facts
    tracking.set_tags(run, {"data_digest": facts["sha256"]})
    tracking.log_metrics(run, {"rows.read": facts["rows"]})


@stage("raw", report=_report, reads=_contents)
def load_examples(folder: Path, config: DataConfig, slice_column: str | None, run: Run) -> dict[str, Any]:
    """Read the labelled file into raw.parquet, all strings.

    Columns: example_id, text, label and problem (why a text is not a string); split and slice if the config names them.
    """
    wanted = wanted_columns(config)
    names = [*wanted.values(), *filter(None, [slice_column])]
    columns = read_columns(config.path, dialect=config.dialect, names=names)
    if "example_id" not in wanted and "id" in columns:
        wanted["example_id"] = "id"
    if not {config.text_column, config.label_column} & set(columns):
        raise missing_columns(config, columns)
    if slice_column is not None:
        if slice_column not in columns:
            raise missing_slice_column(config, slice_column, columns)
        wanted["slice"] = slice_column
    progress = Progress("load-progress", f"reading {config.path.name}", total=None, unit="rows")
    chunks: list[pd.DataFrame] = []
    rows = 0
    sha256 = run.sha256_of(config.path)
    with unchanged_file(config.path, sha256) as reading:
        for chunk in read_chunks(config.path, wanted, dialect=config.dialect, reading=reading):
            chunks.append(chunk)
            rows += len(chunk)
            progress.set(rows)
    account = f" ({reading.account})" if reading.account else ""
    progress.close(f"read {rows:,} rows of {config.path.name}{account}")
    if not rows:
        what = "no row with an accepted answer" if reading.unanswered else "a header only and no rows"
        raise ContentError(f"{config.path} has {what}.", "Check the export.")
    frame = pd.concat(chunks, ignore_index=True)
    if "example_id" not in wanted:
        frame.insert(0, "example_id", pd.Series(map(str, range(1, rows + 1)), dtype=object))
    frame.to_parquet(folder / "raw.parquet", index=False)
    return {"rows": rows, "columns": columns, "sha256": sha256, "lines": reading.account}
