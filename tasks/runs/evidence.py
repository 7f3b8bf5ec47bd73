"""What a version's MLflow run holds, for judging it then or later: evaluation, predictions, split, settings."""

import ast
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.errors import ModelError
from tasks.runtime.retries import text_of
from tasks.runtime.stage_store import read_json

EVALUATION = "evaluation/evaluation.json"
PREDICTIONS = "evaluation/predictions.parquet"
MANIFEST = "split/splits.parquet"
NOT_JUDGED = "It cannot be judged again: train again, or promote it with --force."


@dataclass(frozen=True)
class Evidence:
    """evaluation: contents of evaluation.json. predictions: a row per test row. manifest: the split of all rows."""

    evaluation: dict[str, Any]
    predictions: pd.DataFrame
    manifest: pd.DataFrame


def read_evidence(run_id: str | None, *, version: str) -> Evidence:
    """Return what the run of a version holds. Raises ModelError where anything is missing."""
    expected = f"{EVALUATION}, {PREDICTIONS} and {MANIFEST} in the MLflow run of version {version}"
    with tempfile.TemporaryDirectory() as folder:
        files = {name: _download(run_id, name, folder) for name in (EVALUATION, PREDICTIONS, MANIFEST)}
        missing = [name for name, path in files.items() if path is None]
        if missing:
            found = f"no {', '.join(missing)} in run {run_id or '(none)'}"
            raise ModelError(expected=expected, found=found, remedy=NOT_JUDGED)
        evaluation, predictions, manifest = files.values()
        assert evaluation and predictions and manifest
        evidence = Evidence(read_json(evaluation), pd.read_parquet(predictions), pd.read_parquet(manifest))
    if "intervals" not in evidence.evaluation or "text_digest" not in evidence.predictions:
        raise ModelError(expected=expected, found=f"those of an earlier release in run {run_id}", remedy=NOT_JUDGED)
    return evidence


def read_predictions(run_id: str | None) -> pd.DataFrame | None:
    """Return the answers that the evaluation of a version wrote down, or None; early releases left out the texts."""
    table = _read_table(run_id, PREDICTIONS)
    return table if table is not None and "text" in table else None


def read_manifest(run_id: str | None) -> pd.DataFrame | None:
    """Return the split manifest that the run logged, or None where it is not to be had."""
    return _read_table(run_id, MANIFEST)


def read_settings(run_id: str | None, *, version: str) -> tuple[PromotionConfig, EvaluationConfig]:
    """Return the rules that the run was judged by, from its params; what it does not say has its default.

    Raises ModelError where params do not read as these settings.
    """
    params = MlflowClient().get_run(run_id).data.params if run_id else {}
    promotion: dict[str, Any] = _section(params, "promotion")
    kept = ("confidence", "bootstrap_rounds", "bootstrap_seed")
    evaluation = {key: value for key, value in _section(params, "evaluation").items() if key in kept}
    try:
        if "class_floors" in promotion:  # Params are strings: str() of a dictionary.
            promotion["class_floors"] = ast.literal_eval(promotion["class_floors"])
        return PromotionConfig.model_validate(promotion), EvaluationConfig.model_validate(evaluation)
    except (ValueError, SyntaxError) as error:
        raise ModelError(
            expected=f"promotion settings in the params of run {run_id}, which made version {version}",
            found=text_of(error)[:300],
            remedy=NOT_JUDGED,
        ) from None


def _section(params: dict[str, str], name: str) -> dict[str, Any]:
    return {key.removeprefix(f"{name}."): value for key, value in params.items() if key.startswith(f"{name}.")}


def _read_table(run_id: str | None, name: str) -> pd.DataFrame | None:
    with tempfile.TemporaryDirectory() as folder:
        path = _download(run_id, name, folder)
        return None if path is None else pd.read_parquet(path)


def _download(run_id: str | None, name: str, folder: str) -> Path | None:
    """Return where the artifact is now, or None where run or artifact are gone."""
    if not run_id:
        return None
    try:
        return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, dst_path=folder))
    except (MlflowException, OSError):
        return None
