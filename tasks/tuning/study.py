"""A search for settings: its Optuna study, found again by what it is about, and its MLflow run.

One process at a time is at a search. The study is in `mlruns/tuning.db`, or where LSTM_TEXT_TUNING_STORAGE says.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.search_space import suggest_settings
from lstm_model.config.tuning import TuningConfig
from lstm_model.digests import digest_json
from lstm_model.errors import UsageError
from tasks.runs.flow_run import recorded_flow
from tasks.runtime.state.local_state import state_root
from tasks.runtime.tracking import Run
from tasks.training.load_examples import load_examples
from tasks.training.split_examples import split_examples
from tasks.training.tokenize_and_pad import tokenize_and_pad
from tasks.training.train_model import train_model
from tasks.training.validate_examples import validate_examples
from tasks.tuning.mlflow_runs import search_run

START = "start"  # Mark of the trial with the configuration that the search starts from.


@dataclass(frozen=True)
class Search:
    """What is searched, where trials are kept, and the MLflow run of the whole."""

    study: optuna.Study
    base: PipelineConfig
    tuning: TuningConfig
    run: Run

    @property
    def monitor(self) -> str:
        """Name of the validation figure that trials are compared by."""
        return f"validation_{self.base.training.monitor}"

    @property
    def finished(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.trials if trial.state.is_finished()]


@contextmanager
def open_search(base: PipelineConfig, tuning: TuningConfig) -> Iterator[Search]:
    """Open study and MLflow run of a search, those that it had when it was interrupted if there are any."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    key = search_key(base, tuning)
    with recorded_flow(), _sole_process(key):
        study = optuna.create_study(
            study_name=f"{base.data.path.stem}-{key}",
            storage=os.environ.get("LSTM_TEXT_TUNING_STORAGE") or f"sqlite:///{state_root() / 'tuning.db'}",
            direction="minimize" if base.training.monitor == "log_loss" else "maximize",
            pruner=_pruner(tuning),
            load_if_exists=True,
        )
        if not study.trials:
            study.enqueue_trial({}, user_attrs={START: True})
        with search_run(base, tuning, earlier=study.user_attrs.get("run_id")) as run:
            study.set_user_attr("run_id", run.run_id)
            yield Search(study, base, tuning, run)


def best_trial(search: Search) -> FrozenTrial:
    """Return the completed trial with the best figure among those tried; where all were cut short, the start."""
    start, *tried = search.study.get_trials(states=[TrialState.COMPLETE])
    return min(tried, key=lambda trial: _badness(search, trial), default=start)


def beats_start(search: Search, trial: FrozenTrial) -> bool:
    """Return whether the trial's figure is better than that of the configuration that the search starts from."""
    return _badness(search, trial) < _badness(search, search.study.trials[0])


def _badness(search: Search, trial: FrozenTrial) -> float:
    return float(trial.value if search.study.direction is StudyDirection.MINIMIZE else -trial.value)


def trial_settings(search: Search, trial: FrozenTrial | optuna.Trial) -> dict[str, Any]:
    """Return what the trial tries, drawn if it is new; nothing for the configuration that the search starts from."""
    drawn_from = isinstance(trial, optuna.Trial) or bool(trial.params)  # Not if it died too early to draw.
    return suggest_settings(trial, search.tuning) if drawn_from and START not in trial.user_attrs else {}


def search_key(base: PipelineConfig, tuning: TuningConfig) -> str:
    """Return what a search shares with its continuation: a digest of data, code, settings, space and seed."""
    stages = [
        load_examples.digest_of({"config": base.data, "slice_column": base.evaluation.slice_column}),
        validate_examples.digest_of({"config": base.data}),
        split_examples.digest_of({"config": base.split}),
        tokenize_and_pad.digest_of({"config": base.tokenization}),
        train_model.digest_of({"model": base.model, "training": base.training}),
    ]
    return digest_json([stages, tuning.model_dump(mode="json", exclude={"trials", "minutes"})])[:12]


@contextmanager
def _sole_process(key: str) -> Iterator[None]:
    locks = state_root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"tuning-{key}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            expected="one process at a time in a search",
            found="another one in the same search",
            remedy="Wait for it, or search from another tuning.seed.",
        ) from None
    with lock:
        try:
            yield
        finally:
            lock.release()


def _pruner(tuning: TuningConfig) -> optuna.pruners.BasePruner:
    if not tuning.prune:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=tuning.random_trials, n_warmup_steps=tuning.warmup_epochs)
