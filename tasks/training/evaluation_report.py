"""What MLflow and Prefect show of an evaluation, read from the stage's files."""

from lstm_model.evaluation.bootstrap import Interval
from lstm_model.evaluation.record import Evaluation
from tasks.runtime import tracking
from tasks.runtime.artifacts import markdown_table
from tasks.runtime.stage_store import StageRecord, read_json
from tasks.runtime.tracking import Run, label_key

HEADLINE = ("accuracy", "macro_f1", "log_loss", "calibration_error", "majority_accuracy")
EVALUATION = "evaluation.json"
DIAGRAMS = "diagrams.json"  # Drawn for the run's report, which is logged as a whole.


def report_evaluation(record: StageRecord, run: Run) -> None:
    """Log metrics, plots and files to the run."""
    evaluation = read_evaluation(record)
    tracking.log_metrics(run, evaluation_metrics(evaluation) | {"likely_label_errors": record.facts["label_errors"]})
    for name in sorted(record.files.keys() - {DIAGRAMS}):
        tracking.log_file(run, record.file(name), "figures" if name.endswith(".png") else "evaluation")


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
    if coverage := evaluation.coverage:
        metrics |= {"test_unknown_rate": coverage.unknown_rate, "test_hardly_read": coverage.hardly_read}
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


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return a table of the metrics with their intervals and a table per label, next to the baseline's metrics."""
    candidate, intervals, baseline = evaluation.candidate, evaluation.intervals, evaluation.baseline
    header = [f"test rows: {candidate.rows:,}", "candidate", f"{intervals.confidence:.0%} interval"]
    rows = [
        [name.replace("_", " "), getattr(candidate, name), _between(getattr(intervals, name, None))]
        for name in HEADLINE
    ]
    label_header = ["label", "precision", "recall", "F1", "interval of F1", "rows"]
    label_rows = [
        [label, metrics.precision, metrics.recall, metrics.f1, _between(intervals.f1[label]), metrics.support]
        for label, metrics in candidate.per_class.items()
    ]
    if baseline is None:
        return f"{markdown_table(header, rows)}\n\n{markdown_table(label_header, label_rows)}"
    rows = [[*row, getattr(baseline, name, "")] for row, name in zip(rows, HEADLINE, strict=True)]
    label_rows = [[*row, baseline.f1[row[0]]] for row in label_rows]
    tables = markdown_table([*header, baseline.name], rows), markdown_table([*label_header, "baseline F1"], label_rows)
    return "\n\n".join([tables[0], baseline_verdict(evaluation), tables[1]])


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
