"""The classifier -> a version in MLflow's registry: models-from-code, no pickle, only what serving needs."""

import re
import shutil
import tempfile
from dataclasses import asdict
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import LoggedModelStatus
from mlflow.models import infer_signature
from prefect.artifacts import create_link_artifact

from lstm_model.classifier.answers import AnswerOptions, answer_table
from lstm_model.config.registration import RegistrationConfig
from lstm_model.data.text_columns import split_text
from lstm_model.digests import digest_file, digest_json
from tasks.registry.registered_classifier import RegisteredVersion
from tasks.registry.registered_model import is_undamaged
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, retried_task
from tasks.runtime.state.local_state import PROJECT
from tasks.runtime.tracking import Run, mlflow_ui, set_tags, timed
from tasks.training.export_classifier import registered_files
from tasks.training.split_examples import read_rows

DIGEST_TAG = "classifier_digest"  # Tag of a version: the digest of its files.
# mlflow-skinny serves as mlflow does, without its database, plotting and training packages.
SERVING_PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "tokenizers")


@timed(lambda registered: f"{registered.name} version {registered.version}")
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

    Registers nothing if an undamaged version with the same files exists, after a retry or because nothing that matters
    has changed: the newest of these is returned.
    """
    client, name = mlflow_client(), config.model_name
    files = {file: classifier.files[file] for file in sorted(registered_files(classifier))}
    digest = digest_json([files, reference.files])
    registered = client.search_model_versions(f"name = '{name}' and tags.{DIGEST_TAG} = '{digest}'")
    newest_first = sorted((str(one.version) for one in registered), key=int, reverse=True)
    version = next((number for number in newest_first if is_undamaged(name, number)), None)
    if version is None:
        version = _log_and_register(classifier, reference, splits, name, run)
        client.set_model_version_tag(name, version, DIGEST_TAG, digest)
    for metric, value in evaluation.facts["metrics"].items():
        client.set_model_version_tag(name, version, f"test_{metric}", f"{value:.6g}")
    set_tags(run, {"model_name": name, "model_version": version})
    create_link_artifact(
        link=f"{mlflow_ui()}/#/models/{name}/versions/{version}",
        link_text=f"{name} version {version}",
        key="registered-model",
        description="The version in MLflow's registry",
    )
    return RegisteredVersion(name=name, version=version)


def _log_and_register(classifier: StageRecord, reference: StageRecord, splits: StageRecord, name: str, run: Run) -> str:
    """Return the new version. What a crash left is used if it is complete, and deleted if not."""
    client = mlflow_client()
    made = client.search_model_versions(f"name = '{name}' and run_id = '{run.run_id}'")
    if made:  # Killed between registering and the tag with the digest.
        return str(made[0].version)
    uris = []
    for model in client.search_logged_models([run.experiment_id], f"source_run_id = '{run.run_id}'"):
        if model.status == LoggedModelStatus.READY:
            uris.append(model.model_uri)
        else:
            client.delete_logged_model(model.model_id)
    if not uris:
        texts = read_rows(splits, "test")["text"].head(2)
        example = pd.DataFrame([split_text(text, splits.facts["inputs"]) for text in texts])
        files = [*map(classifier.file, registered_files(classifier)), *map(reference.file, reference.files)]
        metadata = {"labels": classifier.facts["labels"], "data_digest": splits.facts["sha256"]}
        uris = [log_classifier(files, example, metadata=metadata)]
    return str(mlflow.register_model(uris[0], name, await_registration_for=60).version)


def log_classifier(files: list[Path], example: pd.DataFrame, *, metadata: dict[str, Any]) -> str:
    """Log the files of a classifier as a model of the active run; return its URI.

    metadata: its labels and more; the SHA-256 of each file is added, which shows damage in the registry.
    """
    labels = metadata["labels"]
    answer = answer_table(np.zeros((1, len(labels)), np.float32), labels)
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
            # MLflow ignores params that the signature does not name.
            signature=infer_signature(example, answer, asdict(AnswerOptions())),
            input_example=example,
            pip_requirements=serving_requirements(Path(scratch) / "constraints.txt"),
            metadata={**metadata, "files": {file.name: digest_file(file) for file in files}},
        )
    return str(info.model_uri)


def serving_requirements(constraints: Path) -> list[str]:
    """Return the pinned packages that answering needs: no TensorFlow, no Prefect.

    A constraints file, written here and kept by MLflow with the model, pins their own requirements to the versions of
    requirements.lock.
    """
    pinned = re.findall(r"^[\w.-]+==[^\\\n]+", (PROJECT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    constraints.write_text("\n".join(line.strip() for line in pinned) + "\n", encoding="utf-8")
    return [*(f"{name}=={installed_version(name)}" for name in SERVING_PACKAGES), f"-c {constraints}"]
