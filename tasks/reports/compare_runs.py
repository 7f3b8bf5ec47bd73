"""Two runs of MLflow -> what differs between them, from the artifacts that they logged."""

from collections.abc import Mapping
from typing import Any

from mlflow.entities import Run

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.errors import ModelError, UsageError
from lstm_model.evaluation.champion_comparison import SEEN_PARTS
from lstm_model.evaluation.evaluation import resampling_of
from lstm_model.evaluation.run_comparison import RunComparison, compare_answers, compare_figures, match_rows
from tasks.registry.registered_model import resolve_model
from tasks.runs.find_run import find_run, known_runs, moment
from tasks.runs.past_run import EVALUATION, PREDICTIONS, PastRun
from tasks.runtime.tracking import mlflow_ui

SHOWN_EXAMPLES = 20
RECORDED = ("test_", "best_", "baseline_", "export.bytes", "rows.", "parameters", "epochs", "seconds.train_model")


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
    if set(_labels(a)) != set(_labels(b)):
        ours, theirs = (", ".join(sorted(set(_labels(x)) - set(_labels(y)))[:5]) or "none" for x, y in ((a, b), (b, a)))
        raise ModelError(
            expected="two runs with the same labels",
            found=f"labels of A alone: {ours}; of B alone: {theirs}",
            remedy="Figures of different tasks cannot be compared; name another run.",
        )
    return _compare(a, b)


def _compare(a: PastRun, b: PastRun) -> RunComparison:
    rows_a, rows_b, counts = match_rows(
        a.predictions, b.predictions, trained_on_by_a=_trained_on(a), trained_on_by_b=_trained_on(b)
    )
    if not counts.compared:
        raise ModelError(
            expected="test rows of both runs that neither was trained on, with equal labels",
            found=f"none (A has {counts.a:,} test rows, B {counts.b:,}, {counts.in_both:,} of them in both)",
            remedy="Compare runs on the same data and split, or train again with the same data.split_column.",
        )
    resampling = resampling_of(a.config.evaluation if a.config else EvaluationConfig())
    figures, per_class = compare_figures(rows_a, rows_b, _labels(a), resampling)
    agreement, only_a, only_b = compare_answers(rows_a, rows_b, shown=SHOWN_EXAMPLES)
    return RunComparison(
        a=_identity(a.run),
        b=_identity(b.run),
        params=_differing_settings(a.settings, b.settings),
        recorded=_recorded(a.run, b.run),
        rows=counts,
        manifests_found=a.manifest is not None and b.manifest is not None,
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


def _read(run: Run) -> PastRun:
    """Return a run with an evaluation; raises ModelError for another."""
    past = PastRun(run)
    if past.evaluation is None or past.predictions is None:
        error = past.lacks(EVALUATION, PREDICTIONS)
        raise ModelError(expected=error.expected, found=error.found, remedy=known_runs())
    return past


def _labels(run: PastRun) -> list[str]:
    assert run.evaluation
    return run.evaluation.labels


def _trained_on(run: PastRun) -> set[str]:
    if run.manifest is None:
        return set()
    return set(run.manifest.loc[run.manifest["split"].isin(SEEN_PARTS), "text_digest"])


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


def _differing_settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """Return (name, value in a, value in b) of the settings that differ; None: the run has no such setting."""
    shown = [{name: str(value) for name, value in settings.items()} for settings in (a, b)]
    names = sorted({*a, *b})
    return [
        (name, shown[0].get(name), shown[1].get(name)) for name in names if shown[0].get(name) != shown[1].get(name)
    ]
