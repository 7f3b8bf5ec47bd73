"""The columns of a file of texts that a version reads: those that the caller names, or those of its training."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from lstm_model.config.data import Dialect
from lstm_model.data.columns import text_columns
from lstm_model.data.reading import read_columns
from lstm_model.errors import ModelError, UsageError
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

    of_model: the inputs of the version. run_id: of its training. Raises UsageError where the caller names more or fewer
    columns than these, ContentError where the file lacks one.
    """
    path, dialect = request.path, request.dialect
    unnamed = len(of_model) > 1 and request.text_column == "text"
    texts = list(request.text_columns or (of_model if unnamed else [request.text_column]))
    if len(texts) != len(of_model):
        raise UsageError(
            f"The model reads {len(of_model)} text columns ({', '.join(map(repr, of_model))}), not {len(texts)}.",
            "Name as many in the same order: --text-column NAME, or --text-columns NAME,NAME.",
        )
    if texts == ["text"] and "text" not in (columns := read_columns(path, dialect=dialect)):
        with suppress(ModelError):  # A deleted run, one of another release.
            trained = PastRun.find(run_id).settings.get("data.text_column")
            texts = [trained] if trained in columns else texts
    return text_columns(path, texts, request.id_column, dialect=dialect)
