"""Compare two MLflow runs by the artifacts that they logged, and show the comparison in a terminal."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.errors import ModelError, UsageError
from lstm_model.evaluation.champion_comparison import trained_on
from lstm_model.evaluation.evaluation import resampling_of
from lstm_model.evaluation.run_comparison import RowCounts, RunComparison, compare_answers, compare_metrics, match_rows
from tasks.registry.registered_model import CHAMPION, PREVIOUS, read_aliases, resolve_model
from tasks.runs.past_run import EVALUATION, PREDICTIONS, PastRun, find_run, known_runs, moment
from tasks.runtime.artifacts import markdown_table
from tasks.runtime.tracking import mlflow_ui

SHOWN_EXAMPLES = 20
PRINTED_EXAMPLES = 5  # In the terminal.
SHOWN_CHARACTERS = 100
RECORDED = ("test_", "best_", "baseline_", "export.bytes", "rows.", "parameters", "epochs", "seconds.train_model")


def compare_runs(run_a: str, run_b: str | None) -> RunComparison:
    """Compare two runs on the test rows that both have.

    Without run_b, compare with the run of the champion, and the champion's own run with that of the previous champion.
    Raises ModelError for a run that is unknown or has no evaluation, for different labels, and if no row is left;
    UsageError for a run compared with itself.
    """
    (a, role_a), (b, role_b) = _find_both(run_a, run_b)
    labels = _common_labels(a, b)
    rows_a, rows_b, counts = _common_rows(a, b)
    try:
        config = a.config and a.config.evaluation
    except ModelError:  # Another release has settings that this one does not know.
        config = None
    resampling = resampling_of(config or EvaluationConfig())
    metrics, per_class = compare_metrics(rows_a, rows_b, labels, resampling)
    agreement, only_a, only_b = compare_answers(rows_a, rows_b, shown=SHOWN_EXAMPLES)
    settings = _side_by_side(*({name: str(value) for name, value in run.settings.items()} for run in (a, b)))
    return RunComparison(
        a=_identity(a, role_a),
        b=_identity(b, role_b),
        params=[row for row in settings if row[1] != row[2]],
        recorded=_side_by_side(_recorded(a), _recorded(b)),
        rows=counts,
        manifests_found=a.manifest is not None and b.manifest is not None,
        confidence=resampling.confidence,
        figures=metrics,
        per_class=per_class,
        agreement=agreement,
        only_a_right=only_a,
        only_b_right=only_b,
    )


def _find_both(run_a: str, run_b: str | None) -> list[tuple[PastRun, str]]:
    """Return both runs, each with its role; "" where the command names both."""
    first = find_run(run_a)
    if run_b:
        second = find_run(run_b)
        if first.run_id == second.run_id:
            raise UsageError(f"You named run {first.run_id} twice.", f"Name another run. {known_runs()}")
        return [(first, ""), (second, "")]
    name = first.tags.get("model_name", RegistrationConfig().model_name)
    champion = resolve_model(f"models:/{name}@{CHAMPION}")[2]
    if champion != first.run_id:
        return [(first, ""), (find_run(champion), CHAMPION)]
    previous = resolve_model(f"models:/{name}@{PREVIOUS}")[2] if PREVIOUS in read_aliases(name) else champion
    if previous == champion:
        raise UsageError(
            f"Run {champion} made the champion of {name}, and there is no previous champion to compare it with.",
            f"Name another run. {known_runs()}",
        )
    return [(first, CHAMPION), (find_run(previous), f"{PREVIOUS} {CHAMPION}")]


def _common_labels(a: PastRun, b: PastRun) -> list[str]:
    for run in (a, b):
        if run.evaluation is None or run.predictions is None:
            raise ModelError(run.lacks(EVALUATION, PREDICTIONS).message, known_runs())
    labels_a, labels_b = a.evaluation.labels, b.evaluation.labels
    only_a, only_b = (sorted(difference)[:5] for difference in ({*labels_a} - {*labels_b}, {*labels_b} - {*labels_a}))
    if only_a or only_b:
        raise ModelError(
            "The runs have different labels "
            f"(labels of A alone: {', '.join(only_a) or 'none'}; of B alone: {', '.join(only_b) or 'none'}).",
            "Metrics of different tasks cannot be compared; name another run.",
        )
    return labels_a


def _common_rows(a: PastRun, b: PastRun) -> tuple[pd.DataFrame, pd.DataFrame, RowCounts]:
    seen_a, seen_b = trained_on(a.manifest), trained_on(b.manifest)
    rows_a, rows_b, counts = match_rows(a.predictions, b.predictions, trained_on_by_a=seen_a, trained_on_by_b=seen_b)
    if not counts.compared:
        raise ModelError(
            "The runs share no test rows with equal labels that neither was trained on "
            f"(A has {counts.a:,} test rows, B {counts.b:,}, {counts.in_both:,} of them in both).",
            "Compare runs on the same data and split, or train again with the same data.split_column.",
        )
    return rows_a, rows_b, counts


def _identity(run: PastRun, role: str) -> dict[str, str]:
    info, tags = run.run.info, run.tags
    model = f"{tags['model_name']} {tags.get('model_version', '')}" if "model_name" in tags else "not registered"
    model += f", the {role}" if role else ""
    return {
        "run_id": run.run_id,
        "name": info.run_name or run.run_id,
        "url": f"{mlflow_ui()}/#/experiments/{info.experiment_id}/runs/{run.run_id}",
        "started": moment(info.start_time),
        "model": model,
        "data_digest": tags.get("data_digest", ""),
    }


def _recorded(run: PastRun) -> dict[str, float]:
    return {name: value for name, value in run.metrics.items() if name.startswith(RECORDED) and "/" not in name}


def _side_by_side(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (name, value in a, value in b); None where a run has no such name."""
    return [(name, a.get(name), b.get(name)) for name in sorted({*a, *b})]


def comparison_text(compared: RunComparison) -> str:
    """Return the comparison as Markdown, with the verdict last, where a terminal shows it."""
    columns = ["A", "B", "A minus B", f"its interval of {100 * compared.confidence:.4g} %", "beyond chance"]
    metrics = [_cells(row["name"].replace("_", " "), row) for row in compared.figures]
    classes = [_cells(row["name"], row) for row in compared.per_class]
    settings = [[name, *map(_shown, values)] for name, *values in compared.params]
    recorded = [[name, *map(_shown, values)] for name, *values in compared.recorded if values[0] != values[1]]
    runs = [("A", compared.a), ("B", compared.b)]
    parts = [
        *(f"{who}: {run['name']} (run {run['run_id']}, {run['model']})" for who, run in runs),
        _rows(compared),
        markdown_table(["metric", *columns], metrics),
        markdown_table(["F1 of", *columns], classes),
        markdown_table(["setting", "A", "B"], settings) if settings else "No setting differs.",
        markdown_table(["recorded by the run, where they differ", "A", "B"], recorded),
        _examples("only A is right", "B answers", compared.agreement["only_a_right"], compared.only_a_right),
        _examples("only B is right", "A answers", compared.agreement["only_b_right"], compared.only_b_right),
        compared.verdict,
    ]
    return "\n\n".join(part for part in parts if part)


def _rows(compared: RunComparison) -> str:
    rows = compared.rows
    notes = [f"{rows.compared:,} rows compared; test rows of both: {rows.in_both:,} (A {rows.a:,}, B {rows.b:,})"]
    notes += [f"left out, labelled differently: {rows.relabelled:,}"] if rows.relabelled else []
    notes += [f"left out, trained on by A or B: {rows.trained_on:,}"] if rows.trained_on else []
    seen_a, seen_b = rows.a_rows_trained_on_by_b, rows.b_rows_trained_on_by_a
    if seen_a or seen_b:
        notes.append(f"B was trained on {seen_a:,} test rows of A, A on {seen_b:,} of B")
    if not compared.manifests_found:
        notes.append("a run has no split manifest: its rows may have been trained on")
    return "; ".join(notes) + "."


def _cells(name: str, row: dict[str, Any]) -> list[object]:
    ends = row["interval"]
    span = f"{ends[0]:+.4f} to {ends[1]:+.4f}" if ends else "-"
    beyond = {None: "-", True: "yes", False: "no"}[row["beyond_chance"]]
    return [name, row["a"], row["b"], f"{row['difference']:+.4f}", span, beyond]


def _shown(value: str | float | None) -> str | float | int:
    if isinstance(value, float) and value.is_integer() and abs(value) >= 2:
        return int(value)
    return "missing" if value is None else value


def _examples(title: str, answers: str, count: int, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [[row["text"][:SHOWN_CHARACTERS], row["label"], row["predicted"], row["score"]] for row in rows]
    return markdown_table([f"{title} ({count:,} rows)", "label", answers, "score"], cells[:PRINTED_EXAMPLES])
