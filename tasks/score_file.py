"""A file of texts -> a file of answers by one registered version: in chunks, in order, all or nothing."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from lstm_model.answers import answer_table, probability_columns
from lstm_model.classifier import Classifier
from lstm_model.errors import ContentError, UsageError
from lstm_model.reading import file_format, read_chunks, read_columns
from tasks.fetch_champion import RegisteredClassifier, download_version, resolve_model
from tasks.publishing import Progress, markdown_table, publish_markdown
from tasks.stages import worth_a_retry


class ScoringOutcome(BaseModel):
    """The one JSON object that `lstm-text score --json` prints."""

    output: str
    model_name: str
    version: str
    run_id: str
    rows: int
    unscored: int
    labels: dict[str, int]


@task(
    name="resolve-classifier", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=worth_a_retry
)
def resolve_classifier(model_uri: str) -> RegisteredClassifier:
    """Return the version that the address means now, downloaded."""
    name, version, _ = resolve_model(model_uri)
    return download_version(name, version)


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise UsageError unless the output can be written, before any work is done."""
    if output.suffix != ".parquet":
        raise UsageError(expected="an output that ends in .parquet", found=output.name, remedy="Rename it.")
    if output.exists() and not overwrite:
        raise UsageError(
            expected=f"no file at {output}", found="one", remedy="Add --overwrite, or name another output."
        )
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        found = "no permission" if output.parent.is_dir() else "no such folder"
        raise UsageError(expected=f"a folder that can be written at {output.parent}", found=found, remedy="Make it.")
    try:
        temporary = _temporary(output)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise UsageError(
            expected=f"a folder that can be written at {output.parent}",
            found=error.strerror or str(error),
            remedy="Name another output.",
        ) from None


@task(name="score-file", cache_policy=NO_CACHE)
def score_file(
    path: Path, output: Path, classifier: RegisteredClassifier, *, text_column: str, id_column: str | None
) -> ScoringOutcome:
    """Answer every row of the file, ids and order kept; the output appears when it is complete."""
    columns = read_columns(path)
    ids = id_column or ("id" if "id" in columns else None)
    missing = {text_column, *([ids] if ids else [])} - set(columns)
    if missing:
        raise ContentError(
            expected=f"the columns {', '.join(map(repr, sorted(missing)))} in {path}",
            found=", ".join(map(repr, columns)),
            remedy="Name the right ones with --text-column and --id-column.",
        )
    model = Classifier.load(classifier.folder)
    schema = _schema(model.labels)
    progress = Progress("scoring-progress", f"scoring {path.name}", total=_count_rows(path), unit="rows")
    rows, unscored, labels = 0, 0, dict.fromkeys(model.labels, 0)
    temporary = _temporary(output)
    try:
        with pq.ParquetWriter(temporary, schema) as writer:
            for chunk in _scored_chunks(path, model, classifier, text_column, ids):
                writer.write_table(pa.Table.from_pandas(chunk, schema, preserve_index=False))
                rows += len(chunk)
                unscored += int(chunk["reason"].notna().sum())
                for label, count in chunk["label"].value_counts().items():
                    labels[str(label)] += int(count)
                progress.set(rows)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    progress.close(f"scored {rows - unscored:,} of {rows:,} rows with {classifier.name} version {classifier.version}")
    publish_markdown("scores", markdown_table(["label", "rows"], list(labels.items())), "Rows of each answer")
    return ScoringOutcome(
        output=str(output), model_name=classifier.name, version=classifier.version, run_id=classifier.run_id,
        rows=rows, unscored=unscored, labels=labels,
    )  # fmt: skip


def _temporary(output: Path) -> Path:
    return output.with_name(f".{output.name}.{os.getpid()}.part")


def _count_rows(path: Path) -> int | None:
    return pq.ParquetFile(path).metadata.num_rows if file_format(path) == ".parquet" else None


def _schema(labels: list[str]) -> pa.Schema:
    text, number = pa.string(), pa.float64()
    return pa.schema(
        [("id", text), ("label", text), ("score", number)]
        + [(name, number) for name in probability_columns(labels)]
        + [("reason", text), ("model_name", text), ("model_version", text), ("run_id", text)]
        + [("scored_at", pa.timestamp("us", tz="UTC"))]
    )


def _scored_chunks(
    path: Path, model: Classifier, classifier: RegisteredClassifier, text_column: str, ids: str | None
) -> Iterator[pd.DataFrame]:
    """Yield chunks of the output; a row without a text keeps its place, with nulls and a reason."""
    first = 1
    for chunk in read_chunks(path, {"text": text_column, **({"id": ids} if ids else {})}):
        known = chunk["problem"].isna()
        answers = answer_table(model.predict_probabilities(chunk.loc[known, "text"].tolist()), model.labels)
        scored: dict[str, Any] = {
            "id": chunk["id"] if ids else [str(number) for number in range(first, first + len(chunk))],
            **answers.set_index(chunk.index[known]).reindex(chunk.index),
            "reason": chunk["problem"],
            "model_name": classifier.name,
            "model_version": classifier.version,
            "run_id": classifier.run_id,
            "scored_at": datetime.now(UTC),
        }
        first += len(chunk)
        yield pd.DataFrame(scored)
