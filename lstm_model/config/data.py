"""The labelled file and its rows."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from lstm_model.config.section import Count, Section, Share

Quoting = Literal["auto", "quoted", "none"]


class DataConfig(Section):
    """Where the labelled rows are and what is accepted as a row."""

    path: Path = Path("data/headlines.csv")
    """The labelled file: .csv, .tsv, .jsonl (each also .gz) or .parquet."""
    text_column: str = "text"
    """Name of the column with the text."""
    label_column: str = "label"
    """Name of the column with the label; labels are strings."""
    id_column: str | None = None
    """Name of the column with the row's id. Unset: `id` if the file has it, otherwise the row number from 1."""
    quoting: Quoting = "auto"
    """Whether double quotes enclose fields of CSV and TSV. auto: in CSV; in TSV only if the whole file fits that.
    quoted, none: always or never, without a look at the file."""
    split_column: str | None = None
    """Name of a column that says train, validation or test for each row. Unset: the rows are split here."""
    labels: tuple[str, ...] | None = None
    """The labels that may occur. Unset: learned from the file, and recorded."""
    min_characters: Count = 1
    """Fewest characters in a text, white space at both ends not counted."""
    max_characters: Count = 100_000
    """Most characters in a text; a longer one is usually a broken file."""
    max_labels: int = Field(1_000, ge=2)
    """Most different labels; more usually means that you named the wrong column."""
    on_bad_rows: Literal["stop", "quarantine"] = "stop"
    """stop: any bad row ends the run. quarantine: bad rows are set aside and recorded."""
    max_bad_fraction: Share = 0.05
    """With quarantine: the largest share of rows that may be set aside."""
