"""Evaluate the classifier on the test rows, once; the gate and all reports read the files that this stage writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from lstm_model.arrays import Float, Int
from lstm_model.classifier.answers import answer_table
from lstm_model.classifier.classifier import LSTM, Classifier, mix, softmax
from lstm_model.config.data import DataConfig
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.cases import find_cases, read_cases
from lstm_model.data.reading import file_format, unchanged_file
from lstm_model.digests import digest_text
from lstm_model.evaluation.behaviour import check_cases, check_invariance
from lstm_model.evaluation.evaluation import evaluate_answers, evaluate_coverage, evaluate_slices
from lstm_model.evaluation.metrics import calibration_error, ids_of, label_metrics, reliability
from lstm_model.evaluation.mistakes import confident_mistakes, label_errors
from lstm_model.evaluation.record import Evaluation
from lstm_model.pages.diagrams import draw_diagrams
from lstm_model.pages.plots import plot_confusion, plot_per_class, plot_reliability
from lstm_model.tokens.tokenizer import unknown_rates
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import StageRecord, stage, write_json
from tasks.runtime.tracking import Run, timed
from tasks.training.evaluation_report import DIAGRAMS, EVALUATION, HEADLINE, report_evaluation
from tasks.training.export_classifier import VALIDATION_LOGITS
from tasks.training.fit_baseline import ANSWERS as BASELINE_ANSWERS
from tasks.training.split_examples import read_rows

PROGRESS_ROWS = 10_000


def _cases_read(data: DataConfig, config: EvaluationConfig, run: Run, **others: Any) -> list[str] | None:
    path = find_cases(data, config)
    return [path.name, file_format(path), run.sha256_of(path)] if path else None


@timed(lambda cases: cases and f"{cases} is readable")
@task(name="check-cases-file", cache_policy=NO_CACHE)
def check_cases_file(examples: StageRecord, data: DataConfig, config: EvaluationConfig) -> str | None:
    """Read the file of cases, if there is one, before training: a wrong label is reported at once."""
    path = find_cases(data, config)
    if path is not None:
        read_cases(path, inputs=data.inputs, labels=examples.facts["labels"], dialect=config.cases_dialect)
    return path and path.name


@stage("evaluation", report=report_evaluation, reads=_cases_read)
def evaluate_classifier(
    folder: Path,
    classifier: StageRecord,
    splits: StageRecord,
    baseline: StageRecord | None,
    data: DataConfig,
    config: EvaluationConfig,
    run: Run,
) -> dict[str, Any]:
    """Answer the test rows; write predictions.parquet, evaluation.json, two tables and the plots."""
    served = Classifier.load(classifier.folder)
    labels = served.labels
    answers, parts = _answer(served, read_rows(splits, "test"))
    logits = mix(parts, served.description.mixture)
    held_out = _table(served, read_rows(splits, "validation"), np.load(classifier.file(VALIDATION_LOGITS)))
    if baseline is not None:
        answers["baseline_predicted"] = pd.read_parquet(baseline.file(BASELINE_ANSWERS))["baseline_predicted"]
    evaluation = {"labels": labels, **evaluate_answers(answers, labels=labels, config=config)}
    if baseline is not None:
        evaluation["baseline"] |= baseline.facts
    label_ids = ids_of(answers["label"], labels)
    evaluation["parts"] = _parts(parts, classifier.facts["mixture"], label_ids, labels)
    evaluation["coverage"] = evaluate_coverage(answers)
    before = reliability(label_ids=label_ids, probabilities=softmax(logits), bins=config.calibration_bins)
    evaluation["calibration"] = _calibration(classifier.facts["calibration"], before, evaluation["candidate"])
    evaluation["slices"] = evaluate_slices(answers, labels=labels, config=config)
    evaluation["behaviour"] = _behaviour(served, answers, find_cases(data, config), config, run)
    both = pd.concat([answers.assign(split="test"), held_out.assign(split="validation")], ignore_index=True)
    suspects = label_errors(both, labels=labels)
    for name, table in {"mistakes": confident_mistakes(answers), "label_errors": suspects}.items():
        shown = table.head(config.shown_mistakes)
        evaluation[name] = shown.to_dict("records")
        shown.to_csv(folder / f"{name}.csv", index=False)
    record = Evaluation.model_validate(evaluation)
    write_json(folder / EVALUATION, record.model_dump(mode="json"))
    _draw(folder, record, before)
    answers.to_parquet(folder / "predictions.parquet", index=False)
    metrics = {name: evaluation["candidate"][name] for name in (*HEADLINE, "rows")}
    return {"metrics": metrics, "label_errors": len(suspects)}


def _draw(folder: Path, evaluation: Evaluation, before: dict[str, Any]) -> None:
    """Draw the plots here, not in the report, which also runs when the stage is cached."""
    candidate, calibration = evaluation.candidate.model_dump(), evaluation.calibration
    uncalibrated = before if calibration and calibration.kept else None
    plot_confusion(candidate["confusion_matrix"], evaluation.labels).savefig(folder / "confusion_matrix.png")
    plot_per_class(candidate["per_class"]).savefig(folder / "per_class.png")
    diagram = plot_reliability(candidate["reliability"], candidate["calibration_error"], before=uncalibrated)
    diagram.savefig(folder / "reliability.png")
    write_json(folder / DIAGRAMS, draw_diagrams(candidate["reliability"], uncalibrated))


def _answer(served: Classifier, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Float]]:
    """Return the rows with the classifier's answers, and the answers of each part: float32[N, C]."""
    texts = rows["text"].tolist()
    progress = Progress("evaluate-test", "answering test rows", total=len(texts), unit="rows")
    parts, tokens, unknown = [], [], []
    for chunk in progress.chunks(texts, PROGRESS_ROWS):
        token_ids, offsets = served.encoder.encode(chunk)
        parts.append(served.predict_parts(chunk, (token_ids, offsets)))
        tokens.append(np.diff(offsets))
        unknown.append(unknown_rates(token_ids, offsets))
    rows = rows.assign(tokens=np.concatenate(tokens), unknown_rate=np.concatenate(unknown))
    rows.insert(2, "text_digest", rows["text"].map(digest_text))
    joined = {name: np.concatenate([chunk[name] for chunk in parts]) for name in parts[0]}
    return _table(served, rows, mix(joined, served.description.mixture)), joined


def _parts(parts: dict[str, Float], mixture: dict[str, Any], label_ids: Int, labels: list[str]) -> dict[str, Any]:
    """Return the share and the metrics of the LSTM alone and of the n-grams alone."""
    weights = {name: weight for name, weight in mixture["weights"].items() if name != LSTM}
    alone = {LSTM: (mixture["shares"][LSTM], parts[LSTM])}
    if weights:
        mixed = np.sum([weight * parts[name] for name, weight in weights.items()], axis=0)
        alone["ngrams"] = (sum(mixture["shares"][name] for name in weights), mixed)
    return {
        name: {"share": share, **label_metrics(label_ids=label_ids, predicted_ids=logits.argmax(axis=1), labels=labels)}
        for name, (share, logits) in alone.items()
    }


def _table(served: Classifier, rows: pd.DataFrame, logits: Float) -> pd.DataFrame:
    """Return the rows with the predicted label, its score and the probabilities."""
    table = answer_table(served.scale(logits), served.labels).rename(columns={"label": "predicted"})
    return pd.concat([rows, table], axis=1)


def _calibration(fitted: dict[str, Any], before: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    return {
        "temperature": fitted["temperature"],
        "kept": fitted["temperature_kept"],
        "validation_log_loss": {"before": fitted["log_loss_before"], "after": fitted["log_loss_after"]},
        "test_calibration_error": {"before": calibration_error(before), "after": candidate["calibration_error"]},
    }


def _behaviour(
    served: Classifier, answers: pd.DataFrame, path: Path | None, config: EvaluationConfig, run: Run
) -> dict[str, Any]:
    predict, labels = served.predict_probabilities, served.labels
    invariance = check_invariance(predict, answers, labels=labels)
    if path is None:
        return {"invariance": invariance}
    with unchanged_file(path, run.sha256_of(path)):
        rows = read_cases(path, inputs=served.inputs, labels=labels, dialect=config.cases_dialect)
    checked = check_cases(predict, rows, labels=labels)
    cases = {"file": path.name, **checked, "failed": checked["failed"][: config.shown_mistakes]}
    return {"invariance": invariance, "cases": cases}
