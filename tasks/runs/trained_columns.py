"""The columns of a file of texts that a version reads: those that the caller names, or those of its training."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from lstm_model.config.data import Dialect
from lstm_model.data.columns import text_columns
from lstm_model.data.reading import read_columns
from lstm_model.data.text_columns import find_columns
from lstm_model.errors import ModelError
from tasks.runs.past_run import PastRun


class TextRequest(BaseModel, frozen=True):
    """A file of texts, the columns that the caller names, and the version that answers it."""

    path: Path
    model_uri: str
    text_column: str
    text_columns: tuple[str, ...] | None = None
    id_column: str | None
    dialect: Dialect = Dialect()


def columns_to_read(request: TextRequest, *, of_model: Sequence[str], run_id: str) -> dict[str, str]:
    """Return the columns to read, for `read_chunks`. A file without `text` may have the text column of the training.

    of_model: the inputs of the version. run_id: of its training. Raises UsageError and ContentError where the file
    lacks them.
    """
    path, dialect = request.path, request.dialect
    texts = find_columns(request.text_columns, request.text_column, of_model=of_model)
    if texts == ["text"] and "text" not in (columns := read_columns(path, dialect=dialect)):
        with suppress(ModelError):  # A deleted run, one of another release.
            trained = PastRun.find(run_id).settings.get("data.text_column")
            texts = [trained] if trained in columns else texts
    return text_columns(path, texts, request.id_column, dialect=dialect)
