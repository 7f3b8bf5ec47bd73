"""What others did in a shared registry: a champion that another tool registered, an experiment that was deleted."""

import os
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from flows.cli import main
from lstm_model.errors import ModelError
from tasks.monitoring.monitor_file import download_version
from tasks.promotion.decide_promotion import decide
from tasks.registry.registered_model import input_columns
from tasks.runtime.tracking import ensure_experiment
from tasks.serving.model_server import download_served
from tests.evaluated import answers_of, candidate, register_evaluated
from tests.models import write_classifier

WORDS = "foreign version 1 is not a classifier of this project: another tool registered it (sklearn)"


@pytest.fixture(scope="module", autouse=True)
def foreign(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model of scikit-learn's that is champion: its description, and a file that is not read."""
    folder = tmp_path_factory.mktemp("foreign")
    Model(flavors={"sklearn": {"pickled_model": "model.pkl"}}).save(str(folder / "MLmodel"))
    (folder / "model.pkl").write_bytes(b"")
    client = MlflowClient()
    client.create_registered_model("foreign")
    client.create_model_version("foreign", source=folder.as_uri())
    client.set_registered_model_alias("foreign", "champion", "1")


@pytest.mark.parametrize(
    "use",
    [
        lambda: download_version("foreign", "1"),  # drift, and a training that starts from the champion
        lambda: input_columns("foreign", "1"),  # score
        lambda: download_served("foreign", "1", Path()),  # serve
    ],
    ids=["download", "score", "serve"],
)
def test_a_model_that_another_tool_registered_is_named_as_such(use: Callable[[], object]) -> None:
    with pytest.raises(ModelError) as caught:
        use()
    assert WORDS in caught.value.message and "models:/foreign@champion (version 1)" in caught.value.remedy


def test_predict_names_a_model_that_another_tool_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "a text", "--model-uri", "models:/foreign@champion"]) == 4
    assert WORDS in capsys.readouterr().err


def test_the_gate_rejects_while_another_tools_model_is_champion(tmp_path: Path) -> None:
    classifier = write_classifier(tmp_path / "classifier", seed=1)
    version, run_id = register_evaluated(classifier, "foreign", answers_of(classifier))
    decision = decide(candidate("foreign", version, run_id), run_id=run_id, trigger="manual")
    assert decision.kind == "rejected" and WORDS in decision.reason and "--force" in decision.reason


def test_a_deleted_experiment_names_the_command_that_restores_it() -> None:
    number = ensure_experiment("gone")
    mlflow.delete_experiment(number)
    with pytest.raises(ModelError) as caught:
        ensure_experiment("gone")
    assert str(caught.value) == (
        f"The experiment gone is deleted. Restore it: MLFLOW_TRACKING_URI={os.environ['MLFLOW_TRACKING_URI']} "
        f"mlflow experiments restore --experiment-id {number}, or choose another with --registration.experiment-name."
    )
    MlflowClient().restore_experiment(number)
    assert ensure_experiment("gone") == number
