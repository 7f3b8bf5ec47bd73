"""A search for settings: its Optuna study and its MLflow run, with one below it for each trial.

The same search opens them again. Only one process works on a search at a time. The study is in `mlruns/tuning.db` or
in $LSTM_TEXT_TUNING_STORAGE.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import optuna
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from prefect.runtime import flow_run

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.tuning import TuningConfig, suggest_settings
from lstm_model.digests import digest_json
from tasks.runs.flow_run import recorded_flow
from tasks.runs.past_run import PastRun
from tasks.runs.training_run import RUN_NAME_LENGTH, digest_inputs, end_early, log_params, publish_link, run_tags
from tasks.runtime.locks import take_local_lock
from tasks.runtime.retries import mlflow_client, with_retries
from tasks.runtime.state.local_state import state_root
from tasks.runtime.tracking import Run, ensure_experiment, set_tags
from tasks.training.load_examples import load_examples
from tasks.training.split_examples import split_examples
from tasks.training.tokenize_and_pad import tokenize_and_pad
from tasks.training.train_model import train_model
from tasks.training.validate_examples import validate_examples


@dataclass(frozen=True)
class Search:
    """A study, the configuration that it starts from, its search space, and its MLflow run."""

    study: optuna.Study
    base: PipelineConfig
    tuning: TuningConfig
    run: Run

    @property
    def monitor(self) -> str:
        """The name of the validation metric that compares trials."""
        return f"validation_{self.base.training.monitor}"

    @property
    def finished(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.trials if trial.state.is_finished()]

    def loss(self, trial: FrozenTrial) -> float:
        """Return the trial's validation metric with the sign that makes lower better."""
        return float(trial.value if self.study.direction is StudyDirection.MINIMIZE else -trial.value)


@contextmanager
def open_search(base: PipelineConfig, tuning: TuningConfig) -> Iterator[Search]:
    """Open the study and the MLflow run of a search, again if it was interrupted."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    key = search_key(base, tuning)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=tuning.random_trials, n_warmup_steps=tuning.warmup_epochs)
    refusal = "Another process works on the same search."
    remedy = "Wait for it, or search with another tuning.seed."
    with recorded_flow(), take_local_lock(f"tuning-{key}", refusal, remedy):
        study = optuna.create_study(
            study_name=f"{base.data.path.stem}-{key}",
            storage=os.environ.get("LSTM_TEXT_TUNING_STORAGE") or f"sqlite:///{state_root() / 'tuning.db'}",
            direction="minimize" if base.training.monitor == "log_loss" else "maximize",
            pruner=pruner if tuning.prune else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        if not study.trials:
            study.enqueue_trial({})  # Trial 0: the configuration that the search starts from.
        with _search_run(base, tuning, earlier=study.user_attrs.get("run_id")) as run:
            study.set_user_attr("run_id", run.run_id)
            yield Search(study, base, tuning, run)


def best_trial(search: Search) -> FrozenTrial:
    """Return the best completed trial other than the start; the start if no other was completed."""
    start, *others = search.study.get_trials(states=[TrialState.COMPLETE])
    return min(others, key=search.loss, default=start)


def trial_settings(search: Search, trial: FrozenTrial | optuna.Trial) -> dict[str, Any]:
    """Return the settings of the trial, drawn if it is new; none for trial 0."""
    has_settings = isinstance(trial, optuna.Trial) or bool(trial.params)  # A trial may fail before they are drawn.
    return suggest_settings(trial, search.tuning) if has_settings and trial.number else {}


def search_key(base: PipelineConfig, tuning: TuningConfig) -> str:
    """Return a digest of data, code, settings, space and seed, which a search shares with its continuation."""
    stages = [
        load_examples.digest_of({"config": base.data, "other_columns": base.other_columns}),
        validate_examples.digest_of({"config": base.data}),
        split_examples.digest_of({"config": base.split}),
        tokenize_and_pad.digest_of({"config": base.tokens}),
        train_model.digest_of({"model": base.model, "training": base.training}),
    ]
    return digest_json([stages, tuning.model_dump(mode="json", exclude={"trials", "minutes"})])[:12]


@contextmanager
def _search_run(base: PipelineConfig, tuning: TuningConfig, *, earlier: str | None) -> Iterator[Run]:
    """Open the MLflow run of a search, in a separate experiment; always end it."""
    experiment_id = with_retries(ensure_experiment, f"{base.registration.experiment_name}-tuning")
    name = (flow_run.name or base.data.path.stem)[:RUN_NAME_LENGTH]
    with _opened(earlier, Run("", experiment_id, name, base.data.path.name, inputs=digest_inputs(base))) as run:
        set_tags(run, run_tags(base, "manual", None))
        log_params(run, base, sections=("tokenization", "split", "model", "training"))
        set_tags(run, {"tuning": tuning.model_dump_json()})  # Not params: a continued search may have more trials.
        publish_link(run)
        yield run


@contextmanager
def trial_run(trial: optuna.Trial, config: PipelineConfig, *, parent: Run) -> Iterator[Run]:
    """Open the MLflow run of a trial; always end it."""
    wanted = Run("", parent.experiment_id, f"trial {trial.number}", parent.data_name)
    with _opened(trial.user_attrs.get("run_id"), wanted) as run:
        trial.set_user_attr("run_id", run.run_id)
        set_tags(run, {MLFLOW_PARENT_RUN_ID: parent.run_id, "trial": str(trial.number)})
        log_params(run, config, sections=("model", "training"))
        yield run


@contextmanager
def _opened(earlier: str | None, wanted: Run) -> Iterator[Run]:
    """Open the earlier run again, or a new one if the earlier one was deleted; always end it."""
    client, past, run_id = mlflow_client(), PastRun.get(earlier), None
    if past and past.run.info.lifecycle_stage == "active":
        client.update_run(past.run_id, status="RUNNING")
        run_id = past.run_id
    run = replace(wanted, run_id=run_id or client.create_run(wanted.experiment_id, run_name=wanted.name).info.run_id)
    try:
        yield run
    except BaseException as error:  # noqa: BLE001  end_early raises
        end_early(run, error)
    client.set_terminated(run.run_id, "FINISHED")
