"""The result of a search: the best configuration as a file for `lstm-text train --config`, and tables of the trials."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from lstm_model.config.pipeline import PipelineConfig, flatten, nest
from lstm_model.config.tuning import with_settings
from lstm_model.errors import UsageError
from lstm_model.evaluation.bootstrap import bootstrap, interval
from lstm_model.evaluation.evaluation import resampling_of
from lstm_model.evaluation.metrics import macro_f1
from lstm_model.tokens.encoded_rows import EncodedRows
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.state.local_state import state_root
from tasks.runtime.tracking import log_file, log_metrics
from tasks.tuning.study import Search, best_trial, trial_settings
from tasks.tuning.trials import build_trained

SHOWN = {
    "validation_log_loss": "log loss", "validation_macro_f1": "macro f1", "validation_accuracy": "accuracy",
    "best_epoch": "best epoch", "parameters": "parameters",
}  # fmt: skip


class TuningOutcome(BaseModel):
    """The JSON object that `lstm-text tune --json` prints."""

    run_id: str
    run_url: str
    config_path: Path
    best_trial: int
    best_settings: dict[str, Any]
    improved: bool
    start: dict[str, int | float]
    best: dict[str, int | float]
    macro_f1_difference: float
    macro_f1_interval: tuple[float, float]
    validation_rows: int
    trials: dict[str, int]
    table: str


@task(name="conclude-search", cache_policy=NO_CACHE)
def conclude_search(
    search: Search, encoded: StageRecord, start: RegisteredClassifier | None, output: Path | None
) -> TuningOutcome:
    """Write the best configuration, log the tables and return the outcome."""
    first, best = search.study.trials[0], best_trial(search)
    settings = trial_settings(search, best)
    difference, spread = _difference(search, encoded, start, settings)
    outcome = TuningOutcome(
        run_id=search.run.run_id,
        run_url=search.run.url,
        config_path=(output or state_root() / "tuned" / f"{search.base.data.path.stem}.yaml").absolute(),
        best_trial=best.number,
        best_settings=settings,
        improved=search.loss(best) < search.loss(first),
        start={key: first.user_attrs["figures"][key] for key in SHOWN},
        best={key: best.user_attrs["figures"][key] for key in SHOWN},
        macro_f1_difference=difference,
        macro_f1_interval=spread,
        validation_rows=encoded.facts["parts"]["validation"]["rows"],
        trials=dict(sorted(Counter(trial.state.name.lower() for trial in search.finished).items())),
        table="",
    )
    outcome.table = _comparison(search, outcome)
    _write_config(search, outcome)
    _log(search, outcome)
    return outcome


def check_config_output(path: Path, *, overwrite: bool) -> None:
    """Raise UsageError for an output that exists or that cannot be written."""
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already.", "Name another --output, or add --overwrite.")
    if path.suffix not in (".yaml", ".yml") or path.is_dir():
        raise UsageError(f"--output {path} is not a YAML file.", "Name a file such as best.yaml.")
    path.parent.mkdir(parents=True, exist_ok=True)


def best_config(base: PipelineConfig, outcome: TuningOutcome) -> PipelineConfig:
    """Return the configuration to train with: the best trial's, or base if no trial beat it."""
    return with_settings(base, outcome.best_settings if outcome.improved else {})


def _difference(
    search: Search, encoded: StageRecord, start: RegisteredClassifier | None, settings: dict[str, Any]
) -> tuple[float, tuple[float, float]]:
    """Return macro-F1 on validation rows, best configuration minus start, and its paired interval."""
    import keras

    from lstm_model.network.network import MaskedPooling  # noqa: F401  Registers the layers that Keras loads.
    from lstm_model.network.training import predict_logits

    rows = EncodedRows.load(encoded.folder, "validation")
    predictions = {}
    for name, config in (("start", search.base), ("best", with_settings(search.base, settings))):
        network = keras.models.load_model(build_trained(encoded, start, config).file("network.keras"), compile=False)
        predictions[name] = predict_logits(network, rows).argmax(axis=1)
    classes, given = len(encoded.facts["labels"]), search.base.evaluation
    drawn = bootstrap(
        label_ids=rows.label_ids, predictions=predictions, num_classes=classes, resampling=resampling_of(given)
    )
    of_start, of_best = (
        macro_f1(label_ids=rows.label_ids, predicted_ids=ids, num_classes=classes) for ids in predictions.values()
    )
    return of_best - of_start, interval(drawn["best"]["macro_f1"] - drawn["start"]["macro_f1"], given.confidence)


def _comparison(search: Search, outcome: TuningOutcome) -> str:
    given = flatten(search.base)
    rows = [[name, outcome.start[key], outcome.best[key]] for key, name in SHOWN.items()]
    rows += [[name, str(given[name]), str(value)] for name, value in outcome.best_settings.items()]
    header = [f"validation rows: {outcome.validation_rows:,}", "started from", f"best: trial {outcome.best_trial}"]
    low, high = outcome.macro_f1_interval
    verdict = (
        f"The best trial's macro-F1 differs by {outcome.macro_f1_difference:+.4f} "
        f"({search.base.evaluation.confidence:.0%} interval {low:+.4f} to {high:+.4f}: "
        f"{'more than chance' if low > 0 or high < 0 else 'within chance'})."
    )
    if outcome.improved:
        verdict += " The best of many is partly luck: expect less on test rows, which no trial has seen."
    else:
        verdict = f"No trial beat the configuration that the search started from, so the file has that one. {verdict}"
    return f"{markdown_table(header, rows)}\n\n{verdict}"


def _trials_table(search: Search) -> str:
    names, rows = list(search.tuning.space), []
    for trial in search.finished:
        metrics = trial.user_attrs.get("figures", {})
        settings = {**flatten(search.base), **trial_settings(search, trial)}
        measured = [metrics.get(name, "") for name in (search.monitor, "seconds")]
        rows.append([str(trial.number), trial.state.name.lower(), *measured, *(str(settings[name]) for name in names)])
    return markdown_table(["trial", "state", search.monitor.replace("_", " "), "seconds", *names], rows)


def _write_config(search: Search, outcome: TuningOutcome) -> None:
    """Write the settings that differ from the defaults, and all settings of the search space, as YAML."""
    best, defaults = best_config(search.base, outcome), flatten(PipelineConfig())
    given, space = flatten(best).items(), search.tuning.space
    kept = nest({name: True for name, value in given if value != defaults[name] or name in space})
    source, metrics = f"trial {outcome.best_trial}", outcome.best
    if not outcome.improved:
        source, metrics = "what the search started from, which no trial beat", outcome.start
    comment = (
        f"# By lstm-text tune, {sum(outcome.trials.values())} trials, MLflow run {outcome.run_id}:\n"
        f"# {source}; {search.monitor.replace('_', ' ')} {metrics[search.monitor]:.4f}.\n"
    )
    outcome.config_path.parent.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_dump(best.model_dump(mode="json", include=kept), sort_keys=False, allow_unicode=True)
    outcome.config_path.write_text(comment + settings, "utf-8")


def _log(search: Search, outcome: TuningOutcome) -> None:
    run, tables = search.run, f"{outcome.table}\n\n{_trials_table(search)}"
    metrics = {"trials": sum(outcome.trials.values()), "best_trial": outcome.best_trial}
    for name, measured in (("start", outcome.start), ("best", outcome.best)):
        metrics |= {f"{name}.{key}": value for key, value in measured.items()}
    log_metrics(run, metrics)
    log_file(run, outcome.config_path, "tuning")
    mlflow_client().log_text(run.run_id, f"{tables}\n", "tuning/trials.md")
    publish_markdown("tuning", tables, "The result of the search")
