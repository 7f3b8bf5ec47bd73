"""Find a registered version by number or alias, and download its classifier."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info
from mlflow.models.model import ModelInfo
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from lstm_model.digests import digest_json, digest_sources
from lstm_model.errors import ModelError
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.retries import mlflow_client, text_of
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import state_root


def is_missing(error: MlflowException) -> bool:
    """Return whether the registry says that there is no such model, version or alias."""
    text = str(error).lower()
    return error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST) or ("alias" in text and "not found" in text)


def resolve_model(model_uri: str) -> tuple[str, str, str]:
    """Return name, version and run id of models:/NAME@ALIAS or models:/NAME/VERSION.

    Raises ModelError if it does not exist; the error lists what does.
    """
    client = mlflow_client()
    by_alias = "@" in model_uri
    name, _, rest = model_uri.removeprefix("models:/").partition("@" if by_alias else "/")
    if not (model_uri.startswith("models:/") and name and rest):
        message = f"{model_uri!r} is not an address such as models:/NAME@ALIAS or models:/NAME/VERSION."
        raise ModelError(message, what_exists(client))
    try:
        version = (client.get_model_version_by_alias if by_alias else client.get_model_version)(name, rest)
    except MlflowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ModelError(f"There is no registered model {model_uri}: {reason}.", what_exists(client)) from None
    return version.name, str(version.version), version.run_id or ""


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
    """Raise ModelError if the block fails to read the files of a version."""
    try:
        yield
    except (OSError, MlflowException) as error:
        raise ModelError(
            f"The files of {name} version {version} cannot be read: {text_of(error)[:300].rstrip('.')}.",
            "The artifact store is incomplete: roll back to another version, or train again.",
        ) from None


def check_ours(name: str, version: str) -> ModelInfo:
    """Return what MLflow knows of a version's files. Raises ModelError if files are missing or another tool made it."""
    with whole_version(name, version):
        info = get_model_info(f"models:/{name}/{version}")
    if not (info.metadata or {}).get("labels"):  # `register_classifier` writes them.
        raise ModelError(
            f"{name} version {version} is not a classifier of this project: another tool registered it "
            f"({', '.join(sorted(info.flavors))}).",
            "Name another version, or train under another name (--registration.model-name). "
            f"{what_exists(mlflow_client())}",
        )
    return info


def input_columns(name: str, version: str) -> list[str]:
    """Return the names of the columns that a version reads as its text. Raises ModelError as `check_ours` does."""
    names: list[str] = check_ours(name, version).signature.inputs.input_names()
    return names


def download_version(name: str, version: str) -> RegisteredClassifier:
    """Download a registered version and return its classifier.

    It is downloaded each time. One rename moves the files to a folder named by their digest, because another process
    may be reading its own download. Raises ModelError as `check_ours` does.
    """
    root = state_root() / "downloads" / name / version
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root, prefix=".downloading-") as scratch:
        with whole_version(name, version):
            model = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=scratch))
        downloaded = model / "artifacts" / "classifier"
        if not downloaded.exists():
            check_ours(name, version)
        with whole_version(name, version):
            digest = _digest_folder(downloaded, version)
        folder = root / digest
        if folder.exists() and _digest_folder(folder, version) != digest:
            shutil.rmtree(folder)
        if not folder.exists():
            with suppress(OSError):  # Another process was first.
                downloaded.rename(folder)
    run_id = mlflow_client().get_model_version(name, version).run_id or ""
    return RegisteredClassifier(name=name, version=version, run_id=run_id, folder=folder, digest=digest)


def _digest_folder(folder: Path, version: str) -> str:
    return digest_json([version, digest_sources(path for path in folder.iterdir() if path.is_file())])
