"""Check the files of a registered version against the digests of its registration."""

from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.utils import SERVING_INPUT_FILENAME

from lstm_model.digests import digest_file


class Unservable(Exception):  # noqa: N818  a finding, not a failure of this program
    """What is wrong with a version, in one line."""


def find_damage(name: str, version: str) -> str | None:
    """Return what is wrong with the files of a version; None if they are as registered."""
    with TemporaryDirectory(prefix="lstm-text-files-") as scratch:
        try:
            read_version(name, version, Path(scratch))
        except Unservable as damage:
            return str(damage)
    return None


def read_version(name: str, version: str, scratch: Path) -> tuple[Path, Model, bytes]:
    """Download a version to `scratch`; return its folder, its description and its input example.

    Raises Unservable if a file is missing or differs from the registered one.
    """
    try:
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(scratch)))
        model = Model.load(str(folder))
        example = (folder / SERVING_INPUT_FILENAME).read_bytes()
    except (OSError, ValueError, TypeError, MlflowException) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise Unservable(f"its files cannot be read: {reason}") from None
    metadata = model.metadata or {}
    for file, sha256 in metadata.get("files", {}).items():
        path = folder / "artifacts" / "classifier" / file
        if not path.exists():
            raise Unservable(f"{file} is missing in the registry")
        if digest_file(path) != sha256:
            raise Unservable(f"{file} in the registry is damaged: it is not the file that was registered")
    if not metadata.get("labels"):
        raise Unservable("its description in the registry (MLmodel) names no labels")
    return folder, model, example
