"""What a search came to: the best configuration as a file that `lstm-text train --config` takes, and honest tables."""

from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from lstm_model.config.pipeline import PipelineConfig, flatten
from lstm_model.config.search_space import with_settings
from lstm_model.errors import UsageError
from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import macro_f1
from lstm_model.tokens.encoded_rows import EncodedRows
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime import tracking
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.state.local_state import state_root
from tasks.tuning.study import Search, beats_start, best_trial, trial_settings
from tasks.tuning.trials import build_trained

SHOWN = {
    "validation_log_loss": "log loss", "validation_macro_f1": "macro f1", "validation_accuracy": "accuracy",
    "best_epoch": "best epoch", "parameters": "parameters",
}  # fmt: skip


class TuningOutcome(BaseModel):
    """The one JSON object that `lstm-text tune --json` prints."""

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
    best = best_trial(search)
    settings = trial_settings(search, best)
    difference, spread = _difference(search, encoded, start, settings)
    states = [trial.state.name.lower() for trial in search.finished]
    outcome = TuningOutcome(
        run_id=search.run.run_id,
        run_url=search.run.url,
        config_path=(output or state_root() / "tuned" / f"{search.base.data.path.stem}.yaml").absolute(),
        best_trial=best.number,
        best_settings=settings,
        improved=beats_start(search, best),
        start=_figures(search.study.trials[0]),
        best=_figures(best),
        macro_f1_difference=difference,
        macro_f1_interval=spread,
        validation_rows=encoded.facts["parts"]["validation"]["rows"],
        trials={state: states.count(state) for state in sorted(set(states))},
        table="",
    )
    outcome = outcome.model_copy(update={"table": _comparison(search, outcome)})
    _write_config(search, outcome)
    _log(search, outcome)
    return outcome


def check_config_output(path: Path | None, *, overwrite: bool) -> None:
    """Raise UsageError for an output that exists or that no file can be written to."""
    if path is None:
        return
    if path.exists() and not overwrite:
        raise UsageError(
            expected=f"no file at {path}", found="one", remedy="Name another --output, or add --overwrite."
        )
    if path.suffix not in (".yaml", ".yml") or path.is_dir():
        raise UsageError(
            expected="a YAML file for the best configuration", found=str(path), remedy="Name one: best.yaml, say."
        )
    path.parent.mkdir(parents=True, exist_ok=True)


def best_config(base: PipelineConfig, outcome: TuningOutcome) -> PipelineConfig:
    """Return the configuration that the file holds: the best that was tried, or base if nothing beat it."""
    return with_settings(base, outcome.best_settings if outcome.improved else {})


def _difference(
    search: Search, encoded: StageRecord, start: RegisteredClassifier | None, settings: dict[str, Any]
) -> tuple[float, tuple[float, float]]:
    """Return by how much the best configuration's macro-F1 on validation rows differs, with its paired interval."""
    import keras

    from lstm_model.network.network import MaskedPooling  # noqa: F401  Registers the layers that Keras is to load.
    from lstm_model.network.training import predict_logits

    rows = EncodedRows.load(encoded.file("validation.npz"))
    predictions = {}
    for name, config in (("start", search.base), ("best", with_settings(search.base, settings))):
        network = keras.models.load_model(build_trained(encoded, start, config).file("network.keras"), compile=False)
        predictions[name] = predict_logits(network, rows).argmax(axis=1)
    classes, given = len(encoded.facts["labels"]), search.base.evaluation
    drawn = bootstrap(
        label_ids=rows.label_ids,
        predictions=predictions,
        num_classes=classes,
        resampling=Resampling(given.bootstrap_rounds, given.bootstrap_seed, given.confidence),
    )
    ours, theirs = (
        macro_f1(label_ids=rows.label_ids, predicted_ids=ids, num_classes=classes) for ids in predictions.values()
    )
    return theirs - ours, interval(drawn["best"]["macro_f1"] - drawn["start"]["macro_f1"], given.confidence)


def _figures(trial: FrozenTrial) -> dict[str, float]:
    return {key: trial.user_attrs["figures"][key] for key in SHOWN}


def _comparison(search: Search, outcome: TuningOutcome) -> str:
    """Return the table of what the search started from and what it found, and what to think of the difference."""
    given = flatten(search.base)
    rows = [[name, outcome.start[key], outcome.best[key]] for key, name in SHOWN.items()]
    rows += [[name, str(given[name]), str(value)] for name, value in outcome.best_settings.items()]
    header = [f"validation rows: {outcome.validation_rows:,}", "started from", f"best: trial {outcome.best_trial}"]
    return f"{markdown_table(header, rows)}\n\n{_verdict(search, outcome)}"


def _verdict(search: Search, outcome: TuningOutcome) -> str:
    low, high = outcome.macro_f1_interval
    chance = "more than chance" if low > 0 or high < 0 else "within chance"
    difference = (
        f"The best trial's macro-F1 differs by {outcome.macro_f1_difference:+.4f} "
        f"({search.base.evaluation.confidence:.0%} interval {low:+.4f} to {high:+.4f}: {chance})."
    )
    if not outcome.improved:
        return f"No trial beat the configuration that the search started from; the file holds that one. {difference}"
    return f"{difference} The best of many is partly luck: expect less on test rows, which no trial has seen."


def _trials_table(search: Search) -> str:
    names = list(search.tuning.space)
    rows = []
    for trial in search.finished:
        figures = trial.user_attrs.get("figures", {})
        shown = {**flatten(search.base), **trial_settings(search, trial)}
        rows.append(
            [str(trial.number), trial.state.name.lower(), figures.get(search.monitor, ""), figures.get("seconds", "")]
            + [str(shown[name]) for name in names]
        )
    return markdown_table(["trial", "state", search.monitor.replace("_", " "), "seconds", *names], rows)


def _write_config(search: Search, outcome: TuningOutcome) -> None:
    """Write what differs from the defaults, and all that was searched, as YAML."""
    best, defaults = best_config(search.base, outcome), flatten(PipelineConfig())
    dumped = best.model_dump(mode="json")
    kept: dict[str, dict[str, Any]] = {}
    for name, value in flatten(best).items():
        section, key = name.split(".")
        if value != defaults[name] or name in search.tuning.space:
            kept.setdefault(section, {})[key] = dumped[section][key]
    kind = f"trial {outcome.best_trial}" if outcome.improved else "what the search started from, which no trial beat"
    figure = (outcome.best if outcome.improved else outcome.start)[search.monitor]
    comment = (
        f"# By lstm-text tune, {sum(outcome.trials.values())} trials, MLflow run {outcome.run_id}:\n"
        f"# {kind}; {search.monitor.replace('_', ' ')} {figure:.4f}.\n"
    )
    outcome.config_path.parent.mkdir(parents=True, exist_ok=True)
    outcome.config_path.write_text(comment + yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), "utf-8")


def _log(search: Search, outcome: TuningOutcome) -> None:
    run, trials = search.run, _trials_table(search)
    tracking.log_metrics(run, {"trials": sum(outcome.trials.values()), "best_trial": outcome.best_trial})
    tracking.log_metrics(run, {f"start.{key}": value for key, value in outcome.start.items()})
    tracking.log_metrics(run, {f"best.{key}": value for key, value in outcome.best.items()})
    tracking.log_file(run, outcome.config_path, "tuning")
    mlflow_client().log_text(run.run_id, f"{outcome.table}\n\n{trials}\n", "tuning/trials.md")
    publish_markdown("tuning", f"{outcome.table}\n\n{trials}", "What the search came to")
