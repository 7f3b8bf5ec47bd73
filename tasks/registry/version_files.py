"""The files of a registered version as the registry holds them now, held against the digests of its registration."""

import tempfile
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.utils import SERVING_INPUT_FILENAME

from lstm_model.digests import digest_file


class DamagedVersion(Exception):  # noqa: N818  a finding, not a failure of this program
    """What is wrong with the files of a version, in one line."""


def find_damage(name: str, version: str) -> str | None:
    """Return what is wrong with the files of a version, or None where they are as they were registered."""
    with tempfile.TemporaryDirectory(prefix="lstm-text-files-") as scratch:
        try:
            read_version(name, version, Path(scratch))
        except DamagedVersion as damage:
            return str(damage)
    return None


def read_version(name: str, version: str, scratch: Path) -> tuple[Model, bytes]:
    """Download a version to `scratch`; return its description and input example.

    Raises DamagedVersion where a file is missing or not the one that was registered.
    """
    try:
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(scratch)))
        model = Model.load(str(folder))
        example = (folder / SERVING_INPUT_FILENAME).read_bytes()
    except (OSError, ValueError, TypeError, MlflowException) as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DamagedVersion(f"its files cannot be read: {found}") from None
    for file, sha256 in (model.metadata or {}).get("files", {}).items():
        path = folder / "artifacts" / "classifier" / file
        if not path.exists():
            raise DamagedVersion(f"{file} is missing in the registry")
        if digest_file(path) != sha256:
            raise DamagedVersion(f"{file} in the registry is damaged: it is not the file that was registered")
    if not (model.metadata or {}).get("labels"):
        raise DamagedVersion("its description in the registry (MLmodel) names no labels")
    return model, example
