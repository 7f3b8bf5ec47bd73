"""The versions of a registered model: found by number or alias, listed, downloaded and checked."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import Model, ModelInfo, get_model_info
from mlflow.models.utils import SERVING_INPUT_FILENAME

from lstm_model.digests import digest_file, digest_json, digest_sources
from lstm_model.errors import ModelError
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.retries import mlflow_client, text_of, with_retries
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import state_root

CHAMPION, PREVIOUS, CANDIDATE = "champion", "previous", "candidate"


class Unservable(Exception):  # noqa: N818  a finding, not a failure of this program
    """What is wrong with a version, in one line."""


def is_missing(error: MlflowException) -> bool:
    """Return whether the registry says that there is no such model, version or alias."""
    text = str(error).lower()
    return error.error_code == "RESOURCE_DOES_NOT_EXIST" or ("alias" in text and "not found" in text)


def resolve_model(model_uri: str) -> tuple[str, str, str]:
    """Return name, version and run id of models:/NAME@ALIAS or models:/NAME/VERSION. Raises ModelError without one."""
    client, by_alias = mlflow_client(), "@" in model_uri
    name, _, rest = model_uri.removeprefix("models:/").partition("@" if by_alias else "/")
    if not (model_uri.startswith("models:/") and name and rest):
        message = f"{model_uri!r} is not an address such as models:/NAME@ALIAS or models:/NAME/VERSION."
        raise ModelError(message, what_exists())
    try:
        version = (client.get_model_version_by_alias if by_alias else client.get_model_version)(name, rest)
    except MlflowException as error:
        if not is_missing(error) and error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        reason = str(error).splitlines()[0].rstrip(".")
        raise ModelError(f"There is no registered model {model_uri}: {reason}.", what_exists()) from None
    return version.name, str(version.version), version.run_id or ""


def read_aliases(name: str) -> dict[str, str]:
    """Return the version behind each alias of the model. Raises ModelError if the registry has no such model."""
    try:
        aliases = mlflow_client().get_registered_model(name).aliases
    except MlflowException as error:
        if not is_missing(error):
            raise
        raise ModelError(f"The registry has no model {name}.", what_exists()) from None
    return {alias: str(version) for alias, version in aliases.items()}


def list_versions(name: str) -> list[ModelVersion]:
    return with_retries(mlflow.search_model_versions, filter_string=f"name = '{name}'")


def what_exists() -> str:
    """Return a sentence that lists the models of the registry, for an error's remedy."""
    try:
        models = mlflow_client().search_registered_models()
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
            f"Name another version, or train under another name (--registration.model-name). {what_exists()}",
        )
    return info


def input_columns(name: str, version: str) -> list[str]:
    """Return the names of the columns that a version reads as its text. Raises ModelError as `check_ours` does."""
    return check_ours(name, version).signature.inputs.input_names()


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


def is_undamaged(name: str, version: str) -> bool:
    """Return whether the files of a version are as registered."""
    with TemporaryDirectory(prefix="lstm-text-files-") as scratch, suppress(Unservable):
        read_version(name, version, Path(scratch))
        return True
    return False


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
