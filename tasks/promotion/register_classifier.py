"""The classifier -> a version in MLflow's registry: models-from-code, no pickle, only what serving needs."""

import re
import shutil
import tempfile
from dataclasses import asdict
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from prefect.artifacts import create_link_artifact
from pydantic import BaseModel, ConfigDict

from lstm_model.classifier.answers import AnswerOptions, probability_columns
from lstm_model.config.registration import RegistrationConfig
from lstm_model.digests import digest_file, digest_json
from tasks.registry.version_files import find_damage
from tasks.runtime import tracking
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, retried_task
from tasks.runtime.state.local_state import PROJECT
from tasks.runtime.tracking import Run
from tasks.training.export_classifier import REGISTERED_FILES
from tasks.training.split_examples import read_rows

# Tag of a version: the digest of its files.
# mlflow-skinny serves as mlflow does, without its database, plotting and training packages.
DIGEST_TAG = "classifier_digest"
SERVING_PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "tokenizers")


class RegisteredVersion(BaseModel):
    """A version in the registry."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"


@tracking.timed
@retried_task(name="register-classifier")
def register_classifier(
    classifier: StageRecord,
    evaluation: StageRecord,
    reference: StageRecord,
    splits: StageRecord,
    config: RegistrationConfig,
    run: Run,
) -> RegisteredVersion:
    """Log the classifier to the run and register it as a new version, without an alias.

    A version with the same files is registered already where a retry follows a lost answer, a run goes on after a
    crash, or nothing that matters has changed: it is returned, and nothing is registered.
    """
    client = mlflow_client()
    digest = digest_json([{name: classifier.files[name] for name in sorted(REGISTERED_FILES)}, reference.files])
    version = _registered(config.model_name, digest)
    if version is None:
        version = _log_and_register(classifier, reference, splits, config, run)
        client.set_model_version_tag(config.model_name, version.version, DIGEST_TAG, digest)
    for name, value in evaluation.facts["metrics"].items():
        client.set_model_version_tag(config.model_name, version.version, f"test_{name}", f"{value:.6g}")
    _publish(config.model_name, str(version.version), run)
    return RegisteredVersion(name=config.model_name, version=str(version.version))


def _registered(name: str, digest: str) -> ModelVersion | None:
    """Return the newest version of these files that is as it was registered, or None."""
    found = mlflow_client().search_model_versions(f"name = '{name}' and tags.{DIGEST_TAG} = '{digest}'")
    for version in sorted(found, key=lambda one: -int(one.version)):
        if find_damage(name, str(version.version)) is None:
            return version
    return None


def _log_and_register(
    classifier: StageRecord,
    reference: StageRecord,
    splits: StageRecord,
    config: RegistrationConfig,
    run: Run,
) -> ModelVersion:
    """Log and register; what a crash left of it is gone on with, or removed if it is not whole."""
    made = mlflow_client().search_model_versions(f"name = '{config.model_name}' and run_id = '{run.run_id}'")
    if made:  # Killed between registering and the tag with the digest.
        return made[0]
    logged = mlflow_client().search_logged_models([run.experiment_id], f"source_run_id = '{run.run_id}'")
    whole = [model for model in logged if model.status == LoggedModelStatus.READY]
    for model in logged:
        if model.status != LoggedModelStatus.READY:
            mlflow_client().delete_logged_model(model.model_id)
    model_uri = whole[0].model_uri if whole else _log(classifier, reference, splits)
    return mlflow.register_model(model_uri, config.model_name, await_registration_for=60)


def _log(classifier: StageRecord, reference: StageRecord, splits: StageRecord) -> str:
    example = read_rows(splits, "test")[["text"]].head(2)
    files = [*map(classifier.file, REGISTERED_FILES), *map(reference.file, reference.files)]
    metadata = {"labels": classifier.facts["labels"], "data_digest": splits.facts["sha256"]}
    return log_classifier(files, example, metadata=metadata)


def log_classifier(files: list[Path], example: pd.DataFrame, *, metadata: dict[str, Any]) -> str:
    """Log the files of a classifier as a model of the active run; return its address.

    metadata holds its labels; the SHA-256 of each file is added, so that damage in the registry is noticed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # MLflow names an artifact after its folder, which in the store is a digest.
        folder = Path(scratch) / "classifier"
        folder.mkdir()
        for file in files:
            shutil.copyfile(file, folder / file.name)
        info = mlflow.pyfunc.log_model(
            name="classifier",
            python_model=str(PROJECT / "tasks" / "registry" / "served_model.py"),
            artifacts={"classifier": str(folder)},
            code_paths=[str(PROJECT / "lstm_model")],
            signature=serving_signature(metadata["labels"]),
            input_example=example,
            pip_requirements=serving_requirements(Path(scratch) / "constraints.txt"),
            metadata={**metadata, "files": {file.name: digest_file(file) for file in files}},
        )
    return str(info.model_uri)


def serving_signature(labels: list[str]) -> ModelSignature:
    """Return the signature: string column `text` -> label, score and a probability per class; AnswerOptions as params.

    Params that the signature does not name are ignored by MLflow.
    """
    outputs = [ColSpec(DataType.string, "label"), ColSpec(DataType.double, "score")]
    outputs += [ColSpec(DataType.double, name) for name in probability_columns(labels)]
    kinds = {int: DataType.long, float: DataType.double, str: DataType.string}
    params = [ParamSpec(name, kinds[type(value)], value) for name, value in asdict(AnswerOptions()).items()]
    return ModelSignature(Schema([ColSpec(DataType.string, "text")]), Schema(outputs), ParamSchema(params))


def serving_requirements(constraints: Path) -> list[str]:
    """Return the pinned packages that answering needs: no TensorFlow, no Prefect.

    What they need in turn is held to the versions of requirements.lock, by a constraints file that is written here and
    that MLflow keeps with the model.
    """
    pinned = re.findall(r"^[\w.-]+==[^\\\n]+", (PROJECT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    constraints.write_text("\n".join(line.strip() for line in pinned) + "\n", encoding="utf-8")
    return [*(f"{name}=={installed_version(name)}" for name in SERVING_PACKAGES), f"-c {constraints}"]


def _publish(name: str, version: str, run: Run) -> None:
    tracking.set_tags(run, {"model_name": name, "model_version": version})
    create_link_artifact(
        link=f"{tracking.mlflow_ui()}/#/models/{name}/versions/{version}",
        link_text=f"{name} version {version}",
        key="registered-model",
        description="The version in MLflow's registry",
    )


def example_input() -> pd.DataFrame:
    """Return odd texts that every servable model must answer."""
    return pd.DataFrame({"text": ["", "   ", "qzxv wkjq", "😀🎉", "word " * 10_000, "[PAD] [UNK]"]})
