"""Download a public data set and write it as one Parquet file that `lstm-text train` reads."""

import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lstm_model.data.public.catalogue import CATALOGUE
from lstm_model.data.public.readers import READERS
from lstm_model.errors import UsageError
from tasks.datasets.download import download, say


def fetch_dataset(name: str, output: Path, *, overwrite: bool) -> dict[str, Any]:
    """Download what is missing, check it, and write `output`, which appears whole or not at all.

    Returns `rows`, by the value of their column `split`, and how many `labels` there are.
    The downloaded files lie in the folder OUTPUT.download until then, so that the same command continues.
    """
    if output.suffix != ".parquet":
        raise UsageError(f"{output} is no name for a Parquet file.", "Choose an output that ends in .parquet.")
    _check_overwrite(output, overwrite)
    folder = output.with_name(f"{output.name}.download")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            _check_overwrite(output, overwrite)  # Another process may have written it and freed the lock just now.
            for file in CATALOGUE[name].files:
                download(file, folder)
            say("checksums are right; converting")
            rows = READERS[name](folder)
            rows.to_parquet(folder / "rows.parquet", index=False)
            (folder / "rows.parquet").replace(output)
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        raise UsageError(f"Another process is fetching {output}.", "Wait until it ends.") from None
    except OSError as error:
        raise UsageError(
            f"Cannot write {output}: {error.strerror or error}.",
            "Free space, fix the permissions, or name another file with --output.",
        ) from None
    counts = rows["split"].value_counts()
    parts = {part: int(counts[part]) for part in ("train", "validation", "test") if part in counts}
    return {"rows": parts, "labels": rows["label"].nunique()}


def _check_overwrite(output: Path, overwrite: bool) -> None:
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists.", "Train on it, add --overwrite, or choose another output.")
