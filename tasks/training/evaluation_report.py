"""What MLflow and Prefect are told of an evaluation; all of it from the stage's files."""

from lstm_model.evaluation.bootstrap import Interval
from lstm_model.evaluation.record import Behaviour, Evaluation
from tasks.runtime import tracking
from tasks.runtime.artifacts import markdown_table
from tasks.runtime.stage_store import StageRecord, read_json
from tasks.runtime.tracking import Run, label_key

HEADLINE = ("accuracy", "macro_f1", "log_loss", "calibration_error", "majority_accuracy")
EVALUATION = "evaluation.json"
DIAGRAMS = "diagrams.json"  # Drawn for the run's report, which is logged as a whole.


def report_evaluation(record: StageRecord, run: Run) -> None:
    """Log metrics, figures and files to the run, and publish the tables."""
    evaluation = read_evaluation(record)
    tracking.log_metrics(run, evaluation_metrics(evaluation) | {"likely_label_errors": record.facts["label_errors"]})
    for name in sorted(record.files.keys() - {DIAGRAMS}):
        tracking.log_file(run, record.file(name), "figures" if name.endswith(".png") else "evaluation")


def read_evaluation(record: StageRecord) -> Evaluation:
    """Return what the evaluation stage found."""
    return Evaluation.model_validate(read_json(record.file(EVALUATION)))


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return every figure by the name it has in MLflow."""
    candidate, intervals = evaluation.candidate, evaluation.intervals
    found = {f"test_{name}": getattr(candidate, name) for name in (*HEADLINE, "rows")}
    for name in ("accuracy", "macro_f1"):
        found[f"test_{name}_low"], found[f"test_{name}_high"] = getattr(intervals, name)
    for label, per_class in candidate.per_class.items():
        key = label_key(label)
        found |= {f"test_{name}/{key}": value for name, value in per_class}
        found[f"test_f1_low/{key}"], found[f"test_f1_high/{key}"] = intervals.f1[label]
    if evaluation.calibration:
        found["test_calibration_error_before"] = evaluation.calibration.test_calibration_error.before
    if baseline := evaluation.baseline:
        found |= {f"baseline_{name}": getattr(baseline, name) for name in ("accuracy", "macro_f1")}
        found |= {f"baseline_f1/{label_key(label)}": value for label, value in baseline.f1.items()}
        found["baseline_difference"] = baseline.difference.macro_f1
        found["baseline_difference_low"], found["baseline_difference_high"] = baseline.difference.interval
    for part in evaluation.slices:
        bucket = label_key(part.bucket.replace("%", "per cent"))
        found[f"slice_accuracy/{label_key(part.slice)}/{bucket}"] = part.accuracy
    return found | _behaviour_metrics(evaluation.behaviour)


def _behaviour_metrics(behaviour: Behaviour) -> dict[str, float]:
    found = {f"same_label/{check.change}": check.same_label / check.rows
             for check in behaviour.invariance if check.rows}  # fmt: skip
    if cases := behaviour.cases:
        found |= {"cases_rows": cases.rows, "cases_passed": cases.passed}
    return found


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return the metrics with their intervals, beside the baseline's where there is one, and a table per label."""
    candidate, intervals, baseline = evaluation.candidate, evaluation.intervals, evaluation.baseline
    header = [f"test rows: {candidate.rows:,}", "candidate", f"{intervals.confidence:.0%} interval"]
    rows = [
        [name.replace("_", " "), getattr(candidate, name), _between(getattr(intervals, name, None))]
        for name in HEADLINE
    ]
    if baseline:
        header.append(baseline.name)
        rows = [[*row, getattr(baseline, name, "")] for row, name in zip(rows, HEADLINE, strict=True)]
    classes = [
        [label, figures.precision, figures.recall, figures.f1, _between(intervals.f1[label]),
         figures.support, *([baseline.f1[label]] if baseline else [])]
        for label, figures in candidate.per_class.items()
    ]  # fmt: skip
    class_header = [
        "label",
        "precision",
        "recall",
        "F1",
        "interval of F1",
        "rows",
        *(["baseline F1"] if baseline else []),
    ]
    parts = [markdown_table(header, rows), markdown_table(class_header, classes)]
    if baseline:
        parts.insert(1, baseline_verdict(evaluation))
    return "\n\n".join(parts)


def baseline_verdict(evaluation: Evaluation) -> str:
    """Return a sentence that says whether the network beats the linear baseline."""
    assert evaluation.baseline is not None
    difference, sure = evaluation.baseline.difference, evaluation.intervals.confidence
    ahead, (low, high) = difference.macro_f1, difference.interval
    if low > 0:
        verdict = "beats the linear baseline"
    elif high < 0:
        verdict = "is worse than the linear baseline"
    elif ahead > 0:
        verdict = "is ahead of the linear baseline, but not beyond chance"
    else:
        verdict = "does not beat the linear baseline"
    return f"The network {verdict}: macro-F1 {ahead:+.4f} ({sure:.0%} interval {low:+.4f} to {high:+.4f})."


def _between(interval: Interval | None) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
