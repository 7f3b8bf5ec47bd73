"""Download a public data set and write it as one Parquet file that `lstm-text train` reads."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lstm_model.data.public.catalogue import CATALOGUE
from lstm_model.data.public.readers import READERS
from lstm_model.errors import UsageError
from tasks.datasets.download import download
from tasks.datasets.progress import say


@dataclass(frozen=True)
class Fetched:
    """A data set that was written. rows: those of each value of the column `split`."""

    name: str
    path: str
    rows: dict[str, int]
    labels: int


def fetch_dataset(name: str, output: Path, *, overwrite: bool) -> Fetched:
    """Download what is missing, check it, and write `output`, which appears whole or not at all.

    The downloaded files lie in the folder OUTPUT.download until then, so that the same command continues.
    """
    if output.suffix != ".parquet":
        raise UsageError(f"{output} is no name for a Parquet file.", "Choose an output that ends in .parquet.")
    if not overwrite:
        _refuse_existing(output)
    folder = output.with_name(f"{output.name}.download")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            if not overwrite:  # Another process may have written it and freed the lock just now.
                _refuse_existing(output)
            fetched = _fetch(name, output, folder)
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        raise UsageError(f"Another process is fetching {output}.", "Wait until it ends.") from None
    except OSError as error:
        raise UsageError(
            f"Cannot write {output}: {error.strerror or error}.",
            "Free space, fix the permissions, or name another file with --output.",
        ) from None
    return fetched


def _refuse_existing(output: Path) -> None:
    if output.exists():
        raise UsageError(f"{output} exists.", "Train on it, add --overwrite, or choose another output.")


def _fetch(name: str, output: Path, folder: Path) -> Fetched:
    for file in CATALOGUE[name].files:
        download(file, folder)
    say("checksums are right; converting")
    rows = READERS[name](folder)
    writing = folder / "rows.parquet"
    rows.to_parquet(writing, index=False)
    writing.replace(output)
    counts = rows["split"].value_counts()
    parts = {part: int(counts[part]) for part in ("train", "validation", "test") if part in counts}
    return Fetched(name, str(output), parts, rows["label"].nunique())
