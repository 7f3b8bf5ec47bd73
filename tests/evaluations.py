"""Evaluations and decisions without a training: random answers, judged by the very functions that judge real ones."""

from typing import Any

import numpy as np
import pandas as pd

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.digests import digest_text
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import classification_metrics
from lstm_model.evaluation.record import Evaluation
from lstm_model.pages.report import RunFacts

RESAMPLING = Resampling(rounds=200)


def predictions(labels: list[str], *, rows: int = 120, skill: float = 0.8, seed: int = 1) -> pd.DataFrame:
    """Return what predictions.parquet holds, of answers that are right about as often as skill says."""
    rng = np.random.default_rng(seed)
    label_ids = np.arange(rows) % len(labels)
    lead = rng.integers(0, len(labels), rows)
    lead = np.where(rng.random(rows) < skill, label_ids, lead)
    logits = rng.normal(0, 0.7, (rows, len(labels)))
    logits[np.arange(rows), lead] += 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    texts = [f"text {number} about {labels[i]}" for number, i in enumerate(label_ids)]
    baseline = np.where(rng.random(rows) < 0.7, label_ids, lead)
    return pd.DataFrame(
        {
            "example_id": [f"r{number}" for number in range(rows)],
            "text": texts,
            "text_digest": [digest_text(text) for text in texts],
            "label": [labels[i] for i in label_ids],
            "tokens": 4,
            "unknown_rate": 0.0,
            "predicted": [labels[i] for i in probabilities.argmax(axis=1)],
            "score": probabilities.max(axis=1),
            **{f"probability_{label}": probabilities[:, i] for i, label in enumerate(labels)},
            "baseline_predicted": [labels[i] for i in baseline],
        }
    )


def evaluation(labels: list[str], table: pd.DataFrame | None = None) -> dict[str, Any]:
    """Return what evaluation.json holds, every part present."""
    table = predictions(labels) if table is None else table
    ids = {name: table[name].map(labels.index).to_numpy(int) for name in ("label", "predicted", "baseline_predicted")}
    judged = {"candidate": ids["predicted"], "baseline": ids["baseline_predicted"]}
    drawn = bootstrap(label_ids=ids["label"], predictions=judged, num_classes=len(labels), resampling=RESAMPLING)
    candidate, baseline = (
        classification_metrics(
            label_ids=ids["label"],
            probabilities=table[[f"probability_{label}" for label in labels]].to_numpy()
            if name == "candidate"
            else np.eye(len(labels))[predicted],
            labels=labels,
            calibration_bins=15,
        )
        for name, predicted in judged.items()
    )
    ours, theirs = drawn["candidate"], drawn["baseline"]
    wrong = table[table["predicted"] != table["label"]].sort_values("score", ascending=False)
    return {
        "labels": labels,
        "candidate": candidate,
        "intervals": {
            "confidence": 0.95,
            "accuracy": list(interval(ours["accuracy"], 0.95)),
            "macro_f1": list(interval(ours["macro_f1"], 0.95)),
            "f1": {label: list(interval(ours["f1"][:, i], 0.95)) for i, label in enumerate(labels)},
        },
        "guessing": {"macro_f1": 1 / len(labels)},
        "baseline": {
            "name": "TF-IDF + linear SVM",
            "accuracy": baseline["accuracy"],
            "macro_f1": baseline["macro_f1"],
            "f1": {label: figures["f1"] for label, figures in baseline["per_class"].items()},
            "seconds": 0.3,
            "difference": {
                "macro_f1": candidate["macro_f1"] - baseline["macro_f1"],
                "interval": list(interval(ours["macro_f1"] - theirs["macro_f1"], 0.95)),
            },
        },
        "parts": {
            "lstm": {"share": 0.4, "accuracy": 0.8, "macro_f1": 0.79},
            "ngrams": {"share": 0.6, "accuracy": 0.82, "macro_f1": 0.81},
        },
        "calibration": {
            "temperature": 1.4,
            "kept": True,
            "validation_log_loss": {"before": 0.61, "after": 0.52},
            "test_calibration_error": {"before": 0.12, "after": 0.04},
        },
        "slices": [
            {"slice": "length", "bucket": "1 to 8 tokens", "rows": 40, "accuracy": 0.5,
             "accuracy_interval": [0.35, 0.65], "macro_f1": 0.48},
            {"slice": "unknown words", "bucket": "none", "rows": 80, "accuracy": 0.9,
             "accuracy_interval": [0.83, 0.96], "macro_f1": 0.89},
        ],
        "behaviour": {
            "invariance": [
                {"change": "upper case", "rows": 100, "same_label": 100, "examples": []},
                {"change": "trailing space", "rows": 100, "same_label": 98, "examples": [
                    {"text": "Striker signs", "changed": "Striker signs  ", "label": labels[0],
                     "changed_label": labels[1]}]},
            ],
            "cases": {"file": "headlines.cases.csv", "rows": 12, "passed": 11, "failed": [
                {"text": "Goal!", "label": labels[0], "predicted": labels[1], "score": 0.61}]},
        },
        "mistakes": wrong[["example_id", "text", "label", "predicted", "score"]].head(20).to_dict("records"),
        "label_errors": [
            {"example_id": "r7", "text": "text 7", "split": "validation", "label": labels[0], "suggested": labels[1],
             "probability_of_label": 0.01, "probability_of_suggested": 0.97},
        ],
    }  # fmt: skip


def typed(content: dict[str, Any]) -> Evaluation:
    """Return what readers of evaluation.json get."""
    return Evaluation.model_validate(content)


def decision(judged: dict[str, Any], *, first: bool = False, **changes: Any) -> dict[str, Any]:
    """Return a Decision as JSON: of a first model, or of one that was compared with a champion and rejected."""
    ours = {**judged["candidate"], "f1": {label: row["f1"] for label, row in judged["candidate"]["per_class"].items()}}
    ours = {name: ours[name] for name in ("accuracy", "macro_f1", "f1")}
    theirs = {**ours, "macro_f1": ours["macro_f1"] + 0.05, "accuracy": ours["accuracy"] + 0.04}
    drop = {"macro_f1": -0.05, "interval": [-0.09, -0.01], "f1": dict.fromkeys(ours["f1"], -0.05)}
    compared = {"champion_version": "3", "rows": 110, "left_out": 10, "manifest_found": True,
                "candidate": ours, "champion": theirs, "difference": drop}  # fmt: skip
    rules = [
        {"name": "macro_f1_floor", "verdict": "passed", "figure": ours["macro_f1"], "threshold": 0.2,
         "text": "macro-F1 is not below promotion.min_macro_f1"},
        {"name": "better_than_baseline", "verdict": "warned", "figure": -0.01, "threshold": 0.0,
         "text": "the linear baseline is as good"},
        {"name": "not_worse_than_champion", "verdict": "skipped" if first else "failed",
         "figure": None if first else -0.05, "threshold": None if first else 0.0, "text": "against the champion"},
    ]  # fmt: skip
    return {
        "decision_id": "20300101T000000Z-1",
        "time": "2030-01-01T00:00:00+00:00",
        "kind": "promoted" if first else "rejected",
        "promoted": first,
        "reason": "first champion" if first else "worse than the champion, version 3, beyond chance",
        "model_name": "text-classifier",
        "version": "1" if first else "4",
        "champion_before": None if first else "3",
        "champion_version": "1" if first else "3",
        "rules": rules,
        "comparison": None if first else compared,
        "servability": {"reason": None, "asked": 106, "cold_start_seconds": 4.6, "p95_milliseconds": 5.1},
        "trigger": "manual",
        "flow_run_id": "6f9e",
        "run_id": "0123456789abcdef0123456789abcdef",
        "user": "ada",
        **changes,
    }


def run_facts(**changes: Any) -> RunFacts:
    """Return the facts of a run of three epochs."""
    values: dict[str, Any] = {
        "run_id": "0123456789abcdef0123456789abcdef",
        "name": "headlines manual 2030-01-01",
        "url": "http://127.0.0.1:5001/#/experiments/1/runs/0123456789abcdef0123456789abcdef",
        "started": "2030-01-01 00:00:00 UTC",
        "config": PipelineConfig(model={"lstm_units": 64}, training={"seed": 42}),
        "tags": {"data_file": "data/headlines.csv", "data_digest": "ab" * 32, "git_commit": "c0ffee", "user": "ada",
                 "git_dirty": "true", "lock_digest": "cd" * 32, "trigger": "manual",
                 "prefect.flow_run_url": "http://127.0.0.1:4200/runs/flow-run/6f9e"},
        "metrics": {"rows.train": 900, "rows.validation": 100, "rows.test": 120, "best_epoch": 2, "parameters": 584_932,
                    "seconds.train_model": 12.34},
        "epochs": [
            {"train_loss": 1.2 - epoch / 4, "train_accuracy": 0.5 + epoch / 10, "validation_log_loss": 1 - epoch / 9,
             "validation_accuracy": 0.6 + epoch / 20} for epoch in range(3)
        ],
        "packages": {"python": "3.11.9", "keras": "3.15.1"},
    }  # fmt: skip
    return RunFacts(**{**values, **changes})
