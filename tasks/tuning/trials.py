"""Trials of other settings, one after the other, each judged on validation rows; goes on where it was interrupted.

What is tried next depends on the seed, the number of the trial and what came of those before it, so a search that was
killed ends as one that was not. A trial builds the stage `trained` of its settings: one that was interrupted goes on at
its last finished epoch, and a training with the settings that won finds the work done.
"""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.search_space import with_settings
from lstm_model.errors import ModelError
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime import tracking
from tasks.runtime.artifacts import ask_once
from tasks.runtime.interrupts import stop_if_signalled
from tasks.runtime.stage_store import StageRecord, build
from tasks.runtime.tracking import Run
from tasks.training.train_model import checkpoint_folder, fit_network, log_training, train_model
from tasks.tuning.mlflow_runs import trial_run
from tasks.tuning.study import START, Search, trial_settings

MAX_ATTEMPTS = 3  # A trial that ended its process this often, for want of memory say, is given up.


def run_trials(search: Search, encoded: StageRecord, start: RegisteredClassifier | None) -> None:
    """Run trials until their number or the time is reached.

    Raises ModelError where the configuration that the search starts from gives no figure to compare with.
    """
    deadline = time.monotonic() + 60 * (search.tuning.minutes or math.inf)
    artifact = ask_once(create_progress_artifact, 0.0, key="tuning-progress", description="trials")
    while len(search.finished) < search.tuning.trials and (time.monotonic() < deadline or not search.finished):
        trial = _next_trial(search)
        if trial is not None:
            run_trial.with_options(task_run_name=f"trial-{trial.number}")(search, trial, encoded, start)
        _require_start(search)
        ask_once(update_progress_artifact, artifact, 100.0 * len(search.finished) / search.tuning.trials)
    if len(search.finished) < search.tuning.trials:
        get_run_logger().info("out of time after %d of %d trials", len(search.finished), search.tuning.trials)


@task(name="run-trial", cache_policy=NO_CACHE)
def run_trial(search: Search, trial: optuna.Trial, encoded: StageRecord, start: RegisteredClassifier | None) -> None:
    """Train with the settings that a trial proposes and tell the study what came of it."""
    logger = get_run_logger()
    settings = trial_settings(search, trial)
    try:
        config = with_settings(search.base, settings)
    except ValidationError as error:  # Settings that are refused together.
        logger.info("trial %d: %s", trial.number, error.errors()[0]["msg"])
        search.study.tell(trial, state=TrialState.PRUNED)
        return
    with trial_run(trial, config, parent=search.run) as child:
        state, figures = _judge(search, trial, config, child, encoded, start)
        tracking.set_tags(child, {"trial_state": state.name.lower()})
    trial.set_user_attr("figures", figures)
    if state is TrialState.COMPLETE:
        value = figures[search.monitor]
        search.study.tell(trial, value)
        tracking.log_metrics(search.run, {f"trial_{search.monitor}": value}, step=trial.number)
        logger.info("trial %d: %s %.4f", trial.number, search.monitor.replace("_", " "), value)
    else:
        search.study.tell(trial, state=state)
        logger.info("trial %d: %s", trial.number, "cut short" if state is TrialState.PRUNED else "not a number")


def build_trained(
    encoded: StageRecord, start: RegisteredClassifier | None, config: PipelineConfig, **listeners: Any
) -> StageRecord:
    """Return the record of the stage `trained` of the given settings, trained unless it is there."""
    inputs = {"encoded": encoded, "start": start, "model": config.model, "training": config.training}

    def write(folder: Path) -> dict[str, Any]:
        try:
            return fit_network(folder, **inputs, **listeners)
        except optuna.TrialPruned:
            for leftover in (folder, checkpoint_folder(folder)):
                shutil.rmtree(leftover, ignore_errors=True)
            raise

    return build("trained", train_model.digest_of(inputs), write)


def _require_start(search: Search) -> None:
    if search.study.trials[0].state is not TrialState.COMPLETE:
        raise ModelError(
            expected="a finite validation figure of the configuration that the search starts from",
            found="none; its log tells why",
            remedy="Start from another: a lower training.learning_rate, say.",
        )


def _next_trial(search: Search) -> optuna.Trial | None:
    """Return the trial that was interrupted, or a new one; None where the former is given up."""
    study, tuning = search.study, search.tuning
    # One sampler for all trials would begin anew with the first trial's numbers after an interruption.
    study.sampler = optuna.samplers.TPESampler(
        seed=tuning.seed + len(search.finished), n_startup_trials=tuning.random_trials
    )
    interrupted = study.get_trials(states=[TrialState.RUNNING])
    trial = optuna.Trial(study, interrupted[0]._trial_id) if interrupted else study.ask()
    attempts = trial.user_attrs.get("attempts", 0)
    if attempts >= MAX_ATTEMPTS:
        get_run_logger().warning("Trial %d ended its process %d times and is given up.", trial.number, attempts)
        study.tell(trial, state=TrialState.FAIL)
        return None
    trial.set_user_attr("attempts", attempts + 1)
    return trial


def _judge(
    search: Search,
    trial: optuna.Trial,
    config: PipelineConfig,
    child: Run,
    encoded: StageRecord,
    start: RegisteredClassifier | None,
) -> tuple[TrialState, dict[str, Any]]:
    """Return the trial's state and what was measured: figures of the best epoch on validation rows, epochs, seconds."""
    started = time.monotonic()

    def on_epoch(epoch: int, figures: dict[str, float]) -> None:
        stop_if_signalled()
        tracking.log_curves_epoch(child, epoch, figures)
        told = search.study.trials[trial.number].intermediate_values
        if epoch not in told and math.isfinite(figures[search.monitor]):
            trial.report(figures[search.monitor], epoch)
        if START not in trial.user_attrs and trial.should_prune():
            raise optuna.TrialPruned

    try:
        record = build_trained(encoded, start, config, on_epoch=on_epoch)
    except optuna.TrialPruned:
        return TrialState.PRUNED, {"seconds": time.monotonic() - started}
    figures = {**log_training(record, child), **record.facts, "seconds": time.monotonic() - started}
    # Not a number: a learning rate under which the weights exploded.
    return (TrialState.COMPLETE if math.isfinite(figures[search.monitor]) else TrialState.FAIL), figures
