"""A search for settings on a tiny file: three trials, resumed, and what is left of it. Slow: networks are trained."""

import json
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
from mlflow import MlflowClient

from flows.commands import train as train_command
from flows.commands import tune as tune_command
from flows.settings import parse
from lstm_model.config.data import DataConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.config.tuning import TuningConfig
from tasks.runtime.state.local_state import state_root
from tasks.tuning import trials as run_trials
from tests.samples import write_tiny_file

pytestmark = pytest.mark.usefixtures("prefect_server")
STORAGE = f"sqlite:///{state_root() / 'tuning.db'}"
SPACE: dict[str, Any] = {
    "model.lstm_units": (2, 3, 4),
    "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
}
TINY: dict[str, Any] = {
    "model": ModelConfig(embedding_dim=8, lstm_units=4),
    "training": TrainingConfig(epochs=2, batch_size=16),
}


def tune(path: Path, **tuning: Any) -> Any:
    from flows.tuning import tune_text_classifier

    config = TuningConfig(**{"trials": 3, "space": SPACE, "random_trials": 3, **tuning})
    return tune_text_classifier(data=DataConfig(path=path), tuning=config, **TINY)


def trials_of(run_id: str) -> list[Any]:
    experiment = MlflowClient().get_run(run_id).info.experiment_id
    found = MlflowClient().search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted(found, key=lambda run: int(run.data.tags["trial"]))


def study_of(run_id: str) -> optuna.Study:
    summaries = optuna.get_all_study_summaries(STORAGE)
    (name,) = [summary.study_name for summary in summaries if summary.user_attrs.get("run_id") == run_id]
    return optuna.load_study(study_name=name, storage=STORAGE)


def figures(run_id: str) -> list[tuple[Any, Any]]:
    return [(trial.params, trial.value) for trial in study_of(run_id).trials]


@pytest.fixture(scope="module")
def searched(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    path = write_tiny_file(tmp_path_factory.mktemp("data") / "searched.csv")
    return tune(path), path


def test_a_search_is_one_run_with_a_run_for_each_trial(searched: tuple[Any, Path]) -> None:
    outcome, _ = searched
    trials = trials_of(outcome.run_id)
    assert [run.data.tags["trial"] for run in trials] == ["0", "1", "2"]
    assert {run.info.status for run in trials} == {"FINISHED"}
    assert trials[0].data.params["model.lstm_units"] == "4", "the first is the configuration that was given"
    for run in trials:
        curve = MlflowClient().get_metric_history(run.info.run_id, "validation_log_loss")
        assert [metric.step for metric in curve] == [1, 2]
    assert outcome.trials == {"complete": 3}


def test_no_trial_looks_at_test_rows(searched: tuple[Any, Path]) -> None:
    outcome, _ = searched
    for run_id in [outcome.run_id, *(run.info.run_id for run in trials_of(outcome.run_id))]:
        run = MlflowClient().get_run(run_id)
        assert not [name for name in run.data.metrics if name.startswith("test") or name == "macro_f1"]
    assert not mlflow.search_model_versions(filter_string=f"run_id = '{outcome.run_id}'")


def test_the_file_is_a_configuration_that_train_takes(searched: tuple[Any, Path]) -> None:
    outcome, path = searched
    settings = parse(train_command.Settings, ["--config", str(outcome.config_path)])
    assert isinstance(settings, train_command.Settings)
    expected = {"model.lstm_units": 4, "training.learning_rate": TrainingConfig().learning_rate}
    expected = outcome.best_settings if outcome.improved else expected
    config = settings.pipeline()
    assert config.model.lstm_units == expected["model.lstm_units"]
    assert config.training.learning_rate == expected["training.learning_rate"]
    assert (config.data.path, config.model.embedding_dim, config.training.epochs) == (path, 8, 2)


def test_the_table_shows_what_the_search_started_from_beside_the_best_that_it_tried(
    searched: tuple[Any, Path],
) -> None:
    outcome, _ = searched
    assert f"| validation rows: 6 | started from | best: trial {outcome.best_trial} |" in outcome.table
    better = outcome.best["validation_log_loss"] < outcome.start["validation_log_loss"]
    assert outcome.improved == better
    assert ("No trial beat" in outcome.table) != better


def test_the_same_search_again_does_nothing_again_and_one_with_more_trials_goes_on(searched: tuple[Any, Path]) -> None:
    outcome, path = searched
    before = figures(outcome.run_id)
    again = tune(path)
    assert again.run_id == outcome.run_id and figures(again.run_id) == before
    more = tune(path, trials=4)
    assert more.run_id == outcome.run_id and figures(more.run_id)[:3] == before and len(figures(more.run_id)) == 4


def test_a_search_that_is_interrupted_in_a_trial_goes_on_with_it_and_ends_like_one_that_was_not(
    searched: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "interrupted.csv"
    path.write_text(searched[1].read_text("utf-8") + "last,a purr at the end,cat\n", "utf-8")  # No stage is there.
    fit, epochs = run_trials.fit_network, []

    def interrupted(*args: Any, on_epoch: Any, **inputs: Any) -> dict[str, Any]:
        def told(epoch: int, figures: dict[str, float]) -> None:
            on_epoch(epoch, figures)
            epochs.append(epoch)
            if epochs == [1, 2, 1]:  # In the second trial.
                raise KeyboardInterrupt

        return fit(*args, on_epoch=told, **inputs)

    monkeypatch.setattr(run_trials, "fit_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(path)
    monkeypatch.undo()
    resumed = tune(path)
    assert len(trials_of(resumed.run_id)) == 3, "the trial that was interrupted keeps its run"
    study = study_of(resumed.run_id)
    assert [trial.user_attrs["attempts"] for trial in study.trials] == [1, 2, 1]
    found = figures(resumed.run_id)
    optuna.delete_study(study_name=study.study_name, storage=STORAGE)
    assert figures(tune(path).run_id) == found


def test_the_best_configuration_is_trained_right_after_on_request(
    searched: tuple[Any, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from flows.cli import main

    _, path = searched
    outcome = tune(path)  # As the other tests left the search.
    tiny = [
        "--model.embedding-dim",
        "8",
        "--model.lstm-units",
        "4",
        "--training.epochs",
        "2",
        "--training.batch-size",
        "16",
    ]
    tuning = ["--tuning.trials", "3", "--tuning.random-trials", "3", "--tuning.space", json.dumps(SPACE)]
    names = ["--registration.model-name", "tuned", "--output", str(tmp_path / "best.yaml")]
    assert main(["tune", "--data.path", str(path), *tiny, *tuning, *names, "--train", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["model_name"] == "tuned" and answer["version"] == "1"
    trained = MlflowClient().get_run(answer["run_id"])
    settings = outcome.best_settings if outcome.improved else {"model.lstm_units": 4}
    assert trained.data.params["model.lstm_units"] == str(settings["model.lstm_units"])
    best = outcome.best if outcome.improved else outcome.start
    assert trained.data.metrics["best_validation_log_loss"] == best["validation_log_loss"]


def test_a_bad_space_ends_the_command_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from flows.cli import main

    path = write_tiny_file(tmp_path / "tiny.csv")
    bad = json.dumps({"model.lstm_units": [16, 0]})
    assert main(["tune", "--data.path", str(path), "--tuning.space", bad]) == 2
    assert "0 for model.lstm_units: Input should be greater than or equal to 1" in capsys.readouterr().err


def test_an_output_that_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from flows.cli import main

    path = write_tiny_file(tmp_path / "tiny.csv")
    output = tmp_path / "mine.yaml"
    output.write_text("model: {}\n", "utf-8")
    assert main(["tune", "--data.path", str(path), "--output", str(output)]) == 2
    assert "add --overwrite" in capsys.readouterr().err and output.read_text("utf-8") == "model: {}\n"


def test_a_file_may_hold_the_search_beside_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("training: {epochs: 4}\ntuning:\n  trials: 7\n  space: {model.lstm_units: [8, 16]}\n", "utf-8")
    settings = parse(tune_command.Settings, ["--config", str(file), "--tuning.minutes", "5"])
    assert isinstance(settings, tune_command.Settings)
    assert settings.pipeline() == PipelineConfig(training=TrainingConfig(epochs=4))
    assert (settings.tuning.trials, settings.tuning.minutes) == (7, 5.0)
    assert settings.tuning.space == {"model.lstm_units": (8, 16)}
