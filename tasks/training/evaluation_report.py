"""What MLflow and Prefect show of an evaluation, read from the stage's files."""

from lstm_model.evaluation.bootstrap import Interval
from lstm_model.evaluation.record import Evaluation
from tasks.runtime.artifacts import plain_table
from tasks.runtime.stage_store import StageRecord, read_json
from tasks.runtime.tracking import Run, label_key, log_file, log_metrics

HEADLINE = ("accuracy", "macro_f1", "log_loss", "calibration_error", "majority_accuracy")
MOST_LABELS, WORST_LABELS, LONGEST_LABEL = 20, 10, 60  # In the terminal.
EVALUATION = "evaluation.json"
DIAGRAMS = "diagrams.json"  # Drawn for the run's report, which is logged as a whole.


def report_evaluation(record: StageRecord, run: Run) -> str:
    """Log metrics, plots and files to the run; return the two main metrics as text."""
    evaluation = read_evaluation(record)
    log_metrics(run, evaluation_metrics(evaluation) | {"likely_label_errors": record.facts["label_errors"]})
    for name in sorted(record.files.keys() - {DIAGRAMS}):
        log_file(run, record.file(name), "figures" if name.endswith(".png") else "evaluation")
    return f"test accuracy {evaluation.candidate.accuracy:.4f}, macro-F1 {evaluation.candidate.macro_f1:.4f}"


def read_evaluation(record: StageRecord) -> Evaluation:
    """Return the evaluation that the stage wrote."""
    return Evaluation.model_validate(read_json(record.file(EVALUATION)))


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return each metric under its name in MLflow."""
    candidate, intervals, behaviour = evaluation.candidate, evaluation.intervals, evaluation.behaviour
    metrics = {f"test_{name}": getattr(candidate, name) for name in (*HEADLINE, "rows")}
    for name in ("accuracy", "macro_f1"):
        metrics[f"test_{name}_low"], metrics[f"test_{name}_high"] = getattr(intervals, name)
    for label, per_class in candidate.per_class.items():
        key = label_key(label)
        metrics |= {f"test_{name}/{key}": value for name, value in per_class}
        metrics[f"test_f1_low/{key}"], metrics[f"test_f1_high/{key}"] = intervals.f1[label]
    metrics |= {f"test_{name}": value for name, value in evaluation.coverage or ()}
    if evaluation.calibration:
        metrics["test_calibration_error_before"] = evaluation.calibration.test_calibration_error.before
    if baseline := evaluation.baseline:
        metrics |= {f"baseline_{name}": getattr(baseline, name) for name in ("accuracy", "macro_f1")}
        metrics |= {f"baseline_f1/{label_key(label)}": value for label, value in baseline.f1.items()}
        metrics["baseline_difference"] = baseline.difference.macro_f1
        metrics["baseline_difference_low"], metrics["baseline_difference_high"] = baseline.difference.interval
    for name, one in evaluation.parts.items():
        metrics |= {f"part_{key}/{name}": value for key, value in one}
    for part in evaluation.slices:
        bucket = label_key(part.bucket.replace("%", "per cent"))
        metrics[f"slice_accuracy/{label_key(part.slice)}/{bucket}"] = part.accuracy
    for check in behaviour.invariance:
        if check.rows:
            metrics[f"same_label/{check.change}"] = check.same_label / check.rows
    if cases := behaviour.cases:
        metrics |= {"cases_rows": cases.rows, "cases_passed": cases.passed}
    return metrics


def evaluation_text(evaluation: Evaluation) -> str:
    """Return tables for the terminal: metrics with their intervals, and the labels, or the worst ones of many."""
    candidate, intervals, baseline = evaluation.candidate, evaluation.intervals, evaluation.baseline
    labels = candidate.per_class
    if len(labels) > MOST_LABELS:
        labels = dict(sorted(labels.items(), key=lambda item: item[1].f1)[:WORST_LABELS])
    metrics = {
        f"test rows: {candidate.rows:,}": [name.replace("_", " ") for name in HEADLINE],
        "candidate": [_number(getattr(candidate, name)) for name in HEADLINE],
        f"{intervals.confidence:.0%} interval": [_between(getattr(intervals, name, None)) for name in HEADLINE],
    }
    by_label = {
        "label": [_short(label) for label in labels],
        "precision": [_number(found.precision) for found in labels.values()],
        "recall": [_number(found.recall) for found in labels.values()],
        "F1": [_number(found.f1) for found in labels.values()],
        "interval of F1": [_between(intervals.f1[label]) for label in labels],
        "rows": [f"{found.support:,}" for found in labels.values()],
    }
    verdict = []
    if baseline is not None:
        metrics[baseline.name] = [_number(getattr(baseline, name, None)) for name in HEADLINE]
        by_label["baseline F1"] = [_number(baseline.f1[label]) for label in labels]
        verdict = [baseline_verdict(evaluation)]
    tables = [plain_table(list(table), list(zip(*table.values(), strict=True))) for table in (metrics, by_label)]
    left = len(candidate.per_class) - len(labels)
    more = [f"These {len(labels)} labels have the lowest F1; the report has the other {left:,}."] if left else []
    return "\n\n".join([tables[0], *verdict, tables[1], *more])


def _short(label: str) -> str:
    """Return the label in one line of the terminal."""
    line = " ".join(label.split())
    return line if len(line) <= LONGEST_LABEL else f"{line[: LONGEST_LABEL - 3]}..."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def baseline_verdict(evaluation: Evaluation) -> str:
    """Return a sentence that says whether the network beats the linear baseline."""
    assert evaluation.baseline is not None
    difference, confidence = evaluation.baseline.difference, evaluation.intervals.confidence
    ahead, (low, high) = difference.macro_f1, difference.interval
    if low > 0:
        verdict = "beats the linear baseline"
    elif high < 0:
        verdict = "is worse than the linear baseline"
    elif ahead > 0:
        verdict = "is ahead of the linear baseline, but not beyond chance"
    else:
        verdict = "does not beat the linear baseline"
    return f"The classifier {verdict}: macro-F1 {ahead:+.4f} ({confidence:.0%} interval {low:+.4f} to {high:+.4f})."


def _between(interval: Interval | None) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
