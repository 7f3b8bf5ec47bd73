"""Runs and models of an earlier release are read, compared, promoted, rolled back, served and used as champion.

earlier_release.tar.xz is the run state of three trainings on `tests.samples.write_tiny_file` at commit d00e787 (the
last before the folders), without pages, plots and Great Expectations' report. The third one was exported as int8,
which no release after it can write. Flags: those of tests/flows/trainings.py and

    --tokenization.vocab-size 200 --promotion.min-compared-rows 1
    --training.seed 3                                                                    (the second)
    --training.seed 4 --export.quantize int8 --export.max-disagreement 1                 (the third)
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from lstm_model.classifier.classifier import Classifier
from lstm_model.errors import ModelError
from tasks.promotion.change_champion import promote_version, roll_back
from tasks.promotion.decide_promotion import Candidate, decide
from tasks.promotion.history import read_history
from tasks.registry.registered_model import download_version, list_versions, read_aliases
from tasks.reports.compare_runs import compare_runs
from tasks.runs.past_run import PastRun
from tasks.runtime.state.tracking_database import prepare_tracking_database
from tasks.scoring.predict_texts import predict_texts
from tests.evaluated import SERVABLE

NAME = "text-classifier"
STATE = Path(__file__).with_name("earlier_release.tar.xz")


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Unpack the state where it was not made: its locations are rewritten before anything reads it."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(STATE) as archive:
        archive.extractall(folder, filter="data")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LSTM_TEXT_STATE", str(folder))
        patched.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        prepare_tracking_database()
        yield folder


def run_of(version: str) -> PastRun:
    (found,) = [one for one in list_versions(NAME) if str(one.version) == version]
    return PastRun.find(found.run_id)


def test_the_runs_are_whole_to_this_release() -> None:
    for version in "123":
        past = run_of(version)
        assert past.evaluation is not None and past.manifest is not None and past.predictions is not None
        assert past.config is not None and past.config.model.lstm_units == 4
        assert past.config.training.adversarial == 0
        recorded = MlflowClient().get_run(past.run_id).data.metrics["test_macro_f1"]
        assert past.evaluation.candidate.macro_f1 == pytest.approx(recorded)


def test_only_a_setting_that_is_gone_and_was_changed_cannot_be_reproduced() -> None:
    assert run_of("1").exact_config().training.seed == 42
    with pytest.raises(
        ModelError, match=r"export.quantize=int8, export.max_disagreement=1.0\. .*check out commit d00e787"
    ):
        run_of("3").exact_config()


def test_runs_are_compared() -> None:
    compared = compare_runs(run_of("2").run_id, None)  # With the champion's run, version 3.
    assert compared.b["run_id"] == run_of("3").run_id and compared.rows.compared == 9
    changed = {name: values for name, *values in compared.params}
    assert changed["training.seed"] == ["3", "4"] and changed["export.quantize"] == ["none", "int8"]


# The third one is int8: ONNX Runtime's int8 kernels differ between processors (with and without VNNI).
@pytest.mark.parametrize(("version", "tolerance"), [("1", 1e-5), ("3", 0.03)])
def test_its_models_give_the_answers_of_their_evaluation(version: str, tolerance: float) -> None:
    expected = run_of(version).predictions
    classifier = Classifier.load(download_version(NAME, version).folder)
    columns = [f"probability_{label}" for label in classifier.labels]
    np.testing.assert_allclose(
        classifier.predict_probabilities(expected["text"].tolist()), expected[columns], rtol=0, atol=tolerance
    )
    answers = predict_texts(expected["text"].tolist(), model_uri=f"models:/{NAME}/{version}")
    assert [answer["label"] for answer in answers] == expected["predicted"].tolist()


def test_a_new_version_is_compared_with_its_champion() -> None:
    """The files of version 2, registered again by this release, take the place of a new training."""
    from tasks.promotion.register_classifier import log_classifier
    from tasks.runtime.tracking import ensure_experiment

    past, folder = run_of("2"), download_version(NAME, "2").folder
    with mlflow.start_run(experiment_id=ensure_experiment("lstm-text")) as run:
        files = [file for file in folder.iterdir() if file.suffix in (".json", ".onnx", ".keras")]
        example = pd.DataFrame({"text": ["the purr came", "the bark came"]})
        uri = log_classifier(files, example, metadata={"labels": past.evaluation.labels})
    version = str(mlflow.register_model(uri, NAME).version)
    candidate = Candidate(
        NAME, version, SERVABLE, past.config.promotion, past.config.evaluation,
        past.evaluation, past.predictions, past.manifest,
    )  # fmt: skip
    decision = decide(candidate, run_id=run.info.run_id, trigger="manual")
    assert decision.champion_before == "3" and decision.comparison is not None and decision.comparison.rows == 9
    assert decision.comparison.champion.macro_f1 == pytest.approx(run_of("3").evaluation.candidate.macro_f1)


def test_its_versions_are_served_promoted_and_rolled_back() -> None:
    before = read_aliases(NAME)["champion"]
    promoted = promote_version(NAME, "1", force=False, note="try")  # The gate starts its server.
    assert promoted.kind == "promoted" and promoted.champion_before == before
    assert promoted.servability["asked"] > 9 and promoted.comparison is not None
    back = roll_back(NAME, note="try")
    assert back.kind == "rolled_back" and read_aliases(NAME)["champion"] == before
    kinds = [decision["kind"] for decision in read_history(NAME)["decisions"]]
    assert kinds[:3] == ["promoted"] * 3 and kinds[-2:] == ["promoted", "rolled_back"]
