"""A comparison of two runs as tables for a terminal."""

from collections.abc import Iterable
from typing import Any

from lstm_model.evaluation.run_comparison import RunComparison
from tasks.runtime.artifacts import markdown_table

PRINTED_EXAMPLES = 5
SHOWN_CHARACTERS = 100


def comparison_text(compared: RunComparison) -> str:
    """Return the comparison as Markdown, with the verdict last, where a terminal shows it."""
    columns = ["A", "B", "A minus B", f"its interval of {100 * compared.confidence:.4g} %", "beyond chance"]
    metrics = [_cells(row["name"].replace("_", " "), row) for row in compared.figures]
    classes = [_cells(row["name"], row) for row in compared.per_class]
    settings = [_known(name, values) for name, *values in compared.params]
    recorded = [_known(name, map(_number, values)) for name, *values in compared.recorded if values[0] != values[1]]
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


def _known(name: str, values: Iterable[Any]) -> list[object]:
    return [name, *("missing" if value is None else value for value in values)]


def _number(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() and abs(value) >= 2 else value


def _examples(title: str, answers: str, count: int, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [[row["text"][:SHOWN_CHARACTERS], row["label"], row["predicted"], row["score"]] for row in rows]
    return markdown_table([f"{title} ({count:,} rows)", "label", answers, "score"], cells[:PRINTED_EXAMPLES])
