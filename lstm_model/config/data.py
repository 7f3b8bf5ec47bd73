import codecs
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from lstm_model.config.section import Count, Section, Share

NO_ID = "none"  # As data.id_column: rows are numbered, even if there is a column `id`.
Quoting = Literal["auto", "quoted", "backslash", "none"]


def _known_delimiter(given: str | None) -> str | None:
    given = "\t" if given in ("tab", r"\t") else given
    if given is not None and (len(given) != 1 or given in '"\\\r\n'):
        raise ValueError("not one character that can separate fields; a tab is written tab")
    return given


def _known_encoding(given: str | None) -> str | None:
    try:
        b"\xff".decode(given or "utf-8", "replace")  # Refuses codecs that are not for texts, and those of domain names.
    except (LookupError, ValueError):
        raise ValueError("no text encoding of Python; such names are utf-8, windows-1252 and shift_jis") from None
    return given and codecs.lookup(given).name


Delimiter = Annotated[str | None, AfterValidator(_known_delimiter)]
Encoding = Annotated[str | None, AfterValidator(_known_encoding)]


class Dialect(Section):
    """How a text file is written. What is unset is found out."""

    delimiter: Delimiter = None
    """What separates fields, such as `;` or `tab`. Unset: the one of , ; tab | that fits the first rows."""
    quoting: Quoting = "auto"
    """What double quotes enclose. auto: fields; in tab-separated files only if the whole file fits that. quoted, none:
    fields always or never. backslash: fields, with \\" for a quote inside."""
    encoding: Encoding = None
    """Encoding of a text file, such as windows-1252. Unset: UTF-8, or UTF-16 or UTF-32 if the first bytes show it."""
    header: tuple[str, ...] | None = None
    """Names of the columns of a delimited file without a header line, in order."""

    @property
    def dialect(self) -> "Dialect":
        """These settings alone, also where they are part of others."""
        return Dialect(**{name: getattr(self, name) for name in Dialect.model_fields})


class DataConfig(Dialect):
    """Where the labelled rows are and what is accepted as a row."""

    path: Path = Path("data/headlines.csv")
    """The labelled file, or a folder or pattern (`rows/*.csv`) of files with the same columns."""
    text_column: str = "text"
    """Name of the column with the text."""
    text_columns: tuple[str, ...] | None = None
    """Names of several columns, such as title and body, that together are the text. Then text_column stays unset."""
    label_column: str = "label"
    """Name of the column with the label; labels are strings."""
    id_column: str | None = None
    """Name of the column with the row's id. Unset: `id` if the file has it and each row has its own, otherwise the row
    number from 1. none: the row number."""
    split_column: str | None = None
    """Name of a column that says train, validation or test for each row, or dev, val and the like. Unset: the rows are
    split here."""
    labels: tuple[str, ...] | None = None
    """The labels that may occur. Unset: learned from the file, and recorded."""
    clean_labels: bool = False
    """Merge labels that differ only in white space, case, Unicode form or number format into the most frequent one."""
    drop_rare_labels: bool = False
    """Leave out labels with too few different texts to be split, which otherwise end the run."""
    min_characters: Count = 1
    """Fewest characters in a text, without white space and invisible characters at both ends."""
    max_characters: Count = 100_000
    """Most characters of a text; a longer one is cut for training, and counted."""
    max_labels: int = Field(1_000, ge=2)
    """Most different labels; more usually means that you named the wrong column."""
    on_bad_rows: Literal["stop", "quarantine"] = "quarantine"
    """quarantine: bad rows are set aside and listed. stop: any bad row ends the run."""
    max_bad_fraction: Share = 0.01
    """With quarantine: the largest share of rows that may be set aside; more end the run."""

    @model_validator(mode="after")
    def _text_columns(self) -> "DataConfig":
        names = self.text_columns
        if names is not None and (len(set(names)) < max(2, len(names)) or self.text_column != "text"):
            raise ValueError("text_columns needs two or more different names, and excludes text_column")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of the file that together are the text."""
        return self.text_columns or (self.text_column,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that the served model reads: `text`, or text_columns."""
        return self.text_columns or ("text",)
