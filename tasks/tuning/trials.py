"""Trials of other settings, one after the other, each evaluated on validation rows.

The next settings depend only on the seed, the trial's number and the results so far, so an interrupted search ends with
the same result. A trial builds the stage `trained` with its settings: an interrupted trial continues after its last
finished epoch, and a later training with the best settings finds the stage done.
"""

import math
import shutil
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.tuning import with_settings
from lstm_model.errors import ModelError
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.artifacts import ask_once
from tasks.runtime.interrupts import stop_if_signalled
from tasks.runtime.stage_store import StageRecord, build
from tasks.runtime.tracking import Run, log_curves, log_metrics, set_tags
from tasks.training.train_model import checkpoint_folder, fit_network, log_training, train_model
from tasks.tuning.study import Search, trial_run, trial_settings

MAX_ATTEMPTS = 3  # A trial that ended its process this often, for example out of memory, fails.


def run_trials(search: Search, encoded: StageRecord, start: RegisteredClassifier | None) -> None:
    """Run trials until their number or the time limit is reached.

    Raises ModelError if the configuration that the search starts from has no finite validation metric.
    """
    deadline = time.monotonic() + 60 * (search.tuning.minutes or math.inf)
    artifact = ask_once(create_progress_artifact, 0.0, key="tuning-progress", description="trials")
    while len(search.finished) < search.tuning.trials and (time.monotonic() < deadline or not search.finished):
        trial = _next_trial(search)
        if trial is not None:
            run_trial.with_options(task_run_name=f"trial-{trial.number}")(search, trial, encoded, start)
        if search.study.trials[0].state is not TrialState.COMPLETE:
            raise ModelError(
                "The configuration that the search starts from has no finite validation metric; its log shows why.",
                "Start from another one, for example with a lower training.learning_rate.",
            )
        ask_once(update_progress_artifact, artifact, 100.0 * len(search.finished) / search.tuning.trials)
    if len(search.finished) < search.tuning.trials:
        get_run_logger().info("out of time after %d of %d trials", len(search.finished), search.tuning.trials)


@task(name="run-trial", cache_policy=NO_CACHE)
def run_trial(search: Search, trial: optuna.Trial, encoded: StageRecord, start: RegisteredClassifier | None) -> None:
    """Train with the trial's settings and record the result in the study."""
    logger = get_run_logger()
    try:
        config = with_settings(search.base, trial_settings(search, trial))
    except ValidationError as error:  # Some settings are invalid only together.
        logger.info("trial %d: %s", trial.number, error.errors()[0]["msg"])
        search.study.tell(trial, state=TrialState.PRUNED)
        return
    state, metrics = TrialState.PRUNED, {}
    with trial_run(trial, config, parent=search.run) as run:
        started = time.monotonic()
        with suppress(optuna.TrialPruned):
            record = build_trained(encoded, start, config, on_epoch=partial(_see_epoch, search, trial, run))
            metrics = {**log_training(record, run), **record.facts}
            # Not a number: the weights diverged, for example with a high learning rate.
            state = TrialState.COMPLETE if math.isfinite(metrics[search.monitor]) else TrialState.FAIL
        metrics["seconds"] = time.monotonic() - started
        set_tags(run, {"trial_state": state.name.lower()})
    trial.set_user_attr("figures", metrics)
    if state is TrialState.COMPLETE:
        value = metrics[search.monitor]
        search.study.tell(trial, value)
        log_metrics(search.run, {f"trial_{search.monitor}": value}, step=trial.number)
        logger.info("trial %d: %s %.4f", trial.number, search.monitor.replace("_", " "), value)
    else:
        search.study.tell(trial, state=state)
        logger.info("trial %d: %s", trial.number, "stopped early" if state is TrialState.PRUNED else "not a number")


def _see_epoch(search: Search, trial: optuna.Trial, run: Run, epoch: int, metrics: dict[str, float]) -> None:
    """Record an epoch of a trial; raises TrialPruned to cut the trial short."""
    stop_if_signalled()
    log_curves(run, {epoch: metrics})
    reported = search.study.trials[trial.number].intermediate_values
    if epoch not in reported and math.isfinite(metrics[search.monitor]):
        trial.report(metrics[search.monitor], epoch)
    if trial.number and trial.should_prune():  # Trial 0 is what the others are compared with.
        raise optuna.TrialPruned


def build_trained(
    encoded: StageRecord, start: RegisteredClassifier | None, config: PipelineConfig, **listeners: Any
) -> StageRecord:
    """Return the record of the stage `trained` with these settings; train unless it is done."""
    inputs = {"encoded": encoded, "start": start, "model": config.model, "training": config.training}

    def write(folder: Path) -> dict[str, Any]:
        try:
            return fit_network(folder, **inputs, **listeners)
        except optuna.TrialPruned:
            for leftover in (folder, checkpoint_folder(folder)):
                shutil.rmtree(leftover, ignore_errors=True)
            raise

    return build("trained", train_model.digest_of(inputs), write)


def _next_trial(search: Search) -> optuna.Trial | None:
    """Return the interrupted trial or a new one; None if the interrupted one failed too often."""
    study, tuning = search.study, search.tuning
    # After an interruption a single sampler for all trials would repeat the random numbers of the first trial.
    seed = tuning.seed + len(search.finished)
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=tuning.random_trials)
    interrupted = study.get_trials(states=[TrialState.RUNNING])
    trial = optuna.Trial(study, interrupted[0]._trial_id) if interrupted else study.ask()
    attempts = trial.user_attrs.get("attempts", 0)
    if attempts >= MAX_ATTEMPTS:
        get_run_logger().warning("Trial %d ended its process %d times and is skipped.", trial.number, attempts)
        study.tell(trial, state=TrialState.FAIL)
        return None
    trial.set_user_attr("attempts", attempts + 1)
    return trial
