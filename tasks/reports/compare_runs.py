"""Two runs of MLflow -> what differs between them, from the artifacts that they logged."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.errors import ModelError, UsageError
from lstm_model.evaluation.bootstrap import Resampling
from lstm_model.evaluation.evaluation import resampling_of
from lstm_model.evaluation.run_comparison import RunComparison, compare_answers, compare_figures, match_rows
from lstm_model.pages.run_facts import differing_params
from tasks.registry.registered_model import resolve_model
from tasks.runs.find_run import find_run, known_runs
from tasks.runs.run_facts import moment
from tasks.runtime.stage_store import read_json
from tasks.runtime.tracking import mlflow_ui

SHOWN_EXAMPLES = 20
RECORDED = ("test_", "best_", "baseline_", "export.bytes", "rows.", "parameters", "epochs", "seconds.train_model")
NEEDED = {"text", "text_digest", "label", "predicted", "score"}


@dataclass(frozen=True)
class _Evaluated:
    """A run with its labels, the predictions of its test rows, and the digests of what it was trained or tuned on."""

    run: Run
    labels: list[str]
    predictions: pd.DataFrame
    trained_on: set[str] | None


def compare_runs(run_a: str, run_b: str | None) -> RunComparison:
    """Compare two runs on the test rows that both have; left out, run_b is that of the champion.

    Raises ModelError for a run that is unknown or holds no evaluation, for other labels and where no row is left;
    UsageError where a run is compared with itself.
    """
    first = find_run(run_a)
    second = find_run(run_b or _champion_run(first))
    if first.info.run_id == second.info.run_id:
        raise UsageError(
            expected="two runs",
            found=f"{first.info.run_id} twice" if run_b else f"{first.info.run_id}, which made the champion itself",
            remedy=f"Name another. {known_runs()}",
        )
    a, b = _read(first), _read(second)
    if set(a.labels) != set(b.labels):
        ours, theirs = (", ".join(sorted(set(x.labels) - set(y.labels))[:5]) or "none" for x, y in ((a, b), (b, a)))
        raise ModelError(
            expected="two runs with the same labels",
            found=f"labels of A alone: {ours}; of B alone: {theirs}",
            remedy="Figures of different tasks cannot be compared; name another run.",
        )
    return _compare(a, b)


def _compare(a: _Evaluated, b: _Evaluated) -> RunComparison:
    rows_a, rows_b, counts = match_rows(
        a.predictions, b.predictions, trained_on_by_a=a.trained_on or set(), trained_on_by_b=b.trained_on or set()
    )
    if not counts.compared:
        raise ModelError(
            expected="test rows of both runs that neither was trained on, with equal labels",
            found=f"none (A has {counts.a:,} test rows, B {counts.b:,}, {counts.in_both:,} of them in both)",
            remedy="Compare runs on the same data and split, or train again with the same data.split_column.",
        )
    resampling = _resampling(a.run.data.params)
    figures, per_class = compare_figures(rows_a, rows_b, a.labels, resampling)
    agreement, only_a, only_b = compare_answers(rows_a, rows_b, shown=SHOWN_EXAMPLES)
    return RunComparison(
        a=_identity(a.run),
        b=_identity(b.run),
        params=differing_params(a.run.data.params, b.run.data.params),
        recorded=_recorded(a.run, b.run),
        rows=counts,
        manifests_found=a.trained_on is not None and b.trained_on is not None,
        confidence=resampling.confidence,
        figures=figures,
        per_class=per_class,
        agreement=agreement,
        only_a_right=only_a,
        only_b_right=only_b,
    )


def _champion_run(run: Run) -> str:
    name = run.data.tags.get("model_name", RegistrationConfig().model_name)
    return resolve_model(f"models:/{name}@champion")[2]


def _read(run: Run) -> _Evaluated:
    with tempfile.TemporaryDirectory() as scratch:
        evaluation = _download(run, "evaluation/evaluation.json", scratch)
        predictions = _download(run, "evaluation/predictions.parquet", scratch)
        if evaluation is None or predictions is None:
            raise _not_evaluated(run, "no evaluation")
        table = pd.read_parquet(predictions)
        if not set(table) >= NEEDED:
            raise _not_evaluated(run, "an evaluation of an earlier version of this project, without the texts")
        labels = read_json(evaluation)["labels"]
        manifest = _download(run, "split/splits.parquet", scratch)
        return _Evaluated(run, labels, table, None if manifest is None else _trained_on(manifest))


def _download(run: Run, path: str, folder: str) -> Path | None:
    """Return the artifact's local copy; None where the run has no such artifact."""
    if path not in {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id, path.split("/")[0])}:
        return None
    try:
        return Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path, dst_path=folder))
    except (OSError, MlflowException) as error:
        raise ModelError(
            expected=f"{path} among the artifacts of run {run.info.run_id}",
            found=str(error).splitlines()[0],
            remedy="The artifact store is incomplete or does not answer; name another run.",
        ) from None


def _trained_on(manifest: Path) -> set[str]:
    rows = pd.read_parquet(manifest, columns=["text_digest", "split"])
    return set(rows.loc[rows["split"].isin(["train", "validation"]), "text_digest"])


def _not_evaluated(run: Run, found: str) -> ModelError:
    reason = run.data.tags.get("failure_reason")
    state = f"{run.info.status}" + (f": {reason[:200]}" if reason else "")
    return ModelError(
        expected=f"an evaluation among the artifacts of run {run.info.run_id} ({run.info.run_name})",
        found=f"{found} (the run is {state})",
        remedy=known_runs(),
    )


def _resampling(params: dict[str, str]) -> Resampling:
    """Return how A's own intervals were made."""
    names = ("confidence", "bootstrap_rounds", "bootstrap_seed")
    chosen = {name: params[f"evaluation.{name}"] for name in names if f"evaluation.{name}" in params}
    return resampling_of(EvaluationConfig.model_validate(chosen))


def _identity(run: Run) -> dict[str, str]:
    tags = run.data.tags
    model = f"{tags['model_name']} {tags.get('model_version', '')}" if "model_name" in tags else "not registered"
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name or run.info.run_id,
        "url": f"{mlflow_ui()}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        "started": moment(run.info.start_time),
        "model": model,
        "data_digest": tags.get("data_digest", ""),
    }


def _recorded(a: Run, b: Run) -> list[tuple[str, float | None, float | None]]:
    ours, theirs = a.data.metrics, b.data.metrics
    names = [name for name in sorted({*ours, *theirs}) if name.startswith(RECORDED) and "/" not in name]
    return [(name, ours.get(name), theirs.get(name)) for name in names]
