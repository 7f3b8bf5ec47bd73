"""A registered version, by number or alias -> its classifier in a local folder."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from lstm_model.digests import digest_json, digest_sources
from lstm_model.errors import ModelError
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.retries import mlflow_client, text_of
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import state_root


def is_missing(error: MlflowException) -> bool:
    """Return whether the registry says that there is no such model, version or alias."""
    alias_missing = "alias" in str(error).lower() and "not found" in str(error).lower()
    return error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST) or alias_missing


def resolve_model(model_uri: str) -> tuple[str, str, str]:
    """Return name, version and run id of models:/NAME@ALIAS or models:/NAME/VERSION, resolved once.

    Raises ModelError where it does not exist; the error lists what does.
    """
    client = mlflow_client()
    try:
        name, _, rest = model_uri.removeprefix("models:/").partition("@" if "@" in model_uri else "/")
        if not (model_uri.startswith("models:/") and name and rest):
            raise ModelError(
                expected="models:/NAME@ALIAS or models:/NAME/VERSION",
                found=repr(model_uri),
                remedy=what_exists(client),
            )
        found = (
            client.get_model_version_by_alias(name, rest) if "@" in model_uri else client.get_model_version(name, rest)
        )
    except MlflowException as error:
        raise ModelError(
            expected=f"the registered model {model_uri}",
            found=str(error).splitlines()[0],
            remedy=what_exists(client),
        ) from None
    return found.name, str(found.version), found.run_id or ""


def what_exists(client: MlflowClient) -> str:
    """Return a sentence that lists the models of the registry, for an error's remedy."""
    try:
        models = client.search_registered_models()
    except MlflowException:
        return "Check MLFLOW_TRACKING_URI and that the server answers."
    if not models:
        registry = without_password(mlflow.get_tracking_uri())
        return f"The registry at {registry} is empty: train a model first (lstm-text train)."
    names = [
        f"models:/{model.name}@{alias} (version {version})"
        for model in models
        for alias, version in sorted(model.aliases.items())
    ] or [f"models:/{model.name}/1 and later, without an alias" for model in models]
    return f"There is: {', '.join(names)}."


@contextmanager
def whole_version(name: str, version: str) -> Iterator[None]:
    """Raise ModelError where the files of a version, which the block gets, are not all there."""
    try:
        yield
    except (OSError, MlflowException) as error:
        raise ModelError(
            expected=f"the files of {name} version {version}",
            found=text_of(error)[:300],
            remedy="The artifact store is incomplete: roll back to another version, or train again.",
        ) from None


def download_version(name: str, version: str) -> RegisteredClassifier:
    """Download a registered version and return its classifier.

    What is in the registry now is downloaded each time, and appears under a digest of its files by one rename: another
    process may be reading what it downloaded itself. Raises ModelError where files are missing.
    """
    root = state_root() / "downloads" / name / version
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".downloading-") as arriving:
        with whole_version(name, version):
            model = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=arriving))
            arrived = model / "artifacts" / "classifier"
            digest = _digest_folder(arrived, version)
        folder = root / digest
        if folder.exists() and _digest_folder(folder, version) != digest:
            shutil.rmtree(folder)
        if not folder.exists():
            with suppress(OSError):  # Another process was first.
                arrived.rename(folder)
    run_id = mlflow_client().get_model_version(name, version).run_id or ""
    return RegisteredClassifier(name=name, version=version, run_id=run_id, folder=folder, digest=digest)


def _digest_folder(folder: Path, version: str) -> str:
    return digest_json([version, digest_sources(path for path in folder.iterdir() if path.is_file())])
