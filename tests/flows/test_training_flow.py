"""The whole journey on a tiny file, through Prefect's harness. Slow: TensorFlow and Great Expectations are loaded."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterFlowRunId

import lstm_model.network.training
from lstm_model.config.data import DataConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.ngrams import NgramsConfig
from lstm_model.config.promotion import PromotionConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.split import SplitConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.drift.profile import Reference
from lstm_model.ngrams.fit import save_served
from tasks.promotion import check_servable
from tasks.registry.registered_model import download_version
from tasks.runtime.stage_store import stages_root
from tests.flows.conftest import SERVED_REALLY
from tests.samples import write_tiny_file

pytestmark = pytest.mark.usefixtures("prefect_server", "gate_without_server")
STAGES = ["load-examples", "validate-examples", "check-cases-file", "split-examples", "fit-ngram-models",
          "fit-baseline", "tokenize-and-pad", "fetch-start", "train-model", "export-classifier", "evaluate-classifier",
          "describe-reference",
          "register-classifier", "check-servable", "decide-promotion", "write-report"]  # fmt: skip
TINY: dict[str, Any] = {
    "tokenization": TokenizationConfig(vocab_size=200, max_length=20),
    "model": ModelConfig(embedding_dim=8, lstm_units=4),
    "training": TrainingConfig(epochs=2, batch_size=16),
    "promotion": PromotionConfig(min_macro_f1=0, beat_guessing=False, min_compared_rows=1),
}


def train(path: Path, model_name: str, **sections: Any) -> Any:
    from flows.training import train_text_classifier

    data = sections.pop("data", None) or DataConfig(path=path)
    return train_text_classifier(
        **{**TINY, "data": data, "registration": RegistrationConfig(model_name=model_name), **sections}
    )


def runs_of(experiment: str = "lstm-text") -> pd.DataFrame:
    return mlflow.search_runs(experiment_names=[experiment])


@pytest.fixture(scope="module")
def tiny_outcome(
    prefect_server: None, gate_without_server: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    path = write_tiny_file(tmp_path_factory.mktemp("data") / "tiny.csv", rows=63)  # Cached by no other test.
    return train(path, "tiny"), path


def task_states(outcome: Any) -> dict[str, str]:
    flow_run_id = MlflowClient().get_run(outcome.run_id).data.tags["prefect.flow_run_id"]
    wanted = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])), task_run_filter=wanted
        )
    return {run.name.rsplit("-", 1)[0]: run.state.name for run in found if run.state}


def test_the_first_model_becomes_champion(tiny_outcome: tuple[Any, Path]) -> None:
    outcome, _ = tiny_outcome
    assert outcome.promoted and outcome.version == "1"
    aliases = MlflowClient().get_registered_model("tiny").aliases
    assert {name: str(version) for name, version in aliases.items()} == {"champion": "1", "candidate": "1"}


def test_the_server_knows_every_task_run_when_the_flow_returns(tiny_outcome: tuple[Any, Path]) -> None:
    assert task_states(tiny_outcome[0]) == dict.fromkeys(STAGES, "Completed")


def test_the_mlflow_run_holds_params_curves_metrics_figures_and_links(tiny_outcome: tuple[Any, Path]) -> None:
    outcome, _ = tiny_outcome
    client = MlflowClient()
    run = client.get_run(outcome.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.lstm_units"] == "4" and run.data.params["data.text_column"] == "text"
    assert {"prefect.flow_run_id", "prefect.flow_run_url", "data_digest", "lock_digest", "trigger"} <= set(
        run.data.tags
    )
    assert {"test_accuracy", "test_macro_f1", "test_f1/cat", "best_epoch", "seconds.train_model"} <= set(
        run.data.metrics
    )
    assert [metric.step for metric in client.get_metric_history(outcome.run_id, "train_loss")] == [1, 2]
    figures = {item.path for item in client.list_artifacts(outcome.run_id, "figures")}
    assert figures == {f"figures/{name}.png" for name in ("confusion_matrix", "per_class", "reliability", "curves")}
    assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["data_digest"][:36]
    validation = {Path(item.path).name for item in client.list_artifacts(outcome.run_id, "validation")}
    assert validation == {"bad_rows.csv", "data_docs", "great_expectations.json", "rules.json"}


def test_the_registered_model_answers_and_has_a_signature_and_an_input_example(tiny_outcome: tuple[Any, Path]) -> None:
    model = mlflow.pyfunc.load_model("models:/tiny@champion")
    answers = model.predict(pd.DataFrame({"text": ["the purr came", ""]}))
    assert list(answers.columns) == ["label", "score", "probability_cat", "probability_dog", "probability_owl"]
    assert model.metadata.signature.inputs.input_names() == ["text"]
    assert model.metadata.saved_input_example_info is not None
    requirements = Path(mlflow.artifacts.download_artifacts("models:/tiny@champion/requirements.txt")).read_text()
    names = [line.split("==")[0] for line in requirements.split() if "==" in line]
    assert names == ["mlflow-skinny", "numpy", "onnxruntime", "pandas", "tokenizers"]
    assert "-c constraints.txt" in requirements


def test_the_version_keeps_what_later_batches_are_compared_with(tiny_outcome: tuple[Any, Path]) -> None:
    outcome, _ = tiny_outcome
    reference = Reference.load(download_version("tiny", outcome.version).folder)
    assert reference and reference.profile.rows == outcome.rows["validation"] + outcome.rows["test"]
    assert reference.test_right / reference.test_rows == pytest.approx(outcome.metrics["accuracy"])


def test_the_served_ngrams_are_those_that_were_fitted_on_validation_rows_too(
    tiny_outcome: tuple[Any, Path], tmp_path: Path
) -> None:
    outcome, _ = tiny_outcome
    metrics = MlflowClient().get_run(outcome.run_id).data.metrics
    assert metrics["ngrams.words_fitted_rows"] == outcome.rows["train"] + outcome.rows["validation"]
    served = list(download_version("tiny", outcome.version).folder.glob("*_weights.npy"))

    def fits(name: str) -> list[bytes]:
        found = []
        for file in stages_root().glob(f"ngrams/*/{name}_weights.npy"):
            save_served(file.parent, tmp_path, name, bayes=metrics["export.naive_bayes"])
            found.append((tmp_path / f"{name}_weights.npy").read_bytes())
        return found

    for file in served:
        name = file.name.removesuffix("_weights.npy")
        assert file.read_bytes() in fits(name) and file.read_bytes() not in fits(f"train_{name}")
    assert served


def test_a_rerun_reuses_the_stages_and_logs_the_same_curves(tiny_outcome: tuple[Any, Path]) -> None:
    first, path = tiny_outcome
    again = train(path, "tiny")
    states = task_states(again)
    assert {name for name, state in states.items() if state == "Cached"} >= set(STAGES[:11]) - {
        "check-cases-file",
        "fetch-start",
    }
    client = MlflowClient()
    curves = [[m.value for m in client.get_metric_history(run, "train_loss")] for run in (first.run_id, again.run_id)]
    assert curves[0] == curves[1] and len(curves[0]) == 2
    assert again.metrics == first.metrics and again.decision == "unchanged" and not again.promoted


def test_a_worse_model_is_not_promoted(tiny_outcome: tuple[Any, Path]) -> None:
    _, path = tiny_outcome
    untrained = TrainingConfig(epochs=1, batch_size=64, learning_rate=1e-6)
    good = train(path, "judged", training=untrained)
    assert good.metrics["macro_f1"] > 0.9  # The clue words tell the labels apart, which the n-grams learn.
    worse = train(path, "judged", training=untrained, ngrams=NgramsConfig(words=False, characters=False))
    assert not worse.promoted and worse.champion_version == good.version
    assert worse.reason.startswith("not_worse_than_champion: macro-F1 ")
    assert str(MlflowClient().get_model_version_by_alias("judged", "champion").version) == good.version


def test_scoring_keeps_ids_and_order_and_names_the_model(tiny_outcome: tuple[Any, Path], tmp_path: Path) -> None:
    from flows.scoring import score_texts

    source = tmp_path / "in.jsonl"
    rows = [{"id": "007", "text": "bark"}, {"id": "NA", "text": None}, {"id": 3, "text": ""}, {"id": "x", "text": 5}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = score_texts(source, tmp_path / "out.parquet", model_uri="models:/tiny/1")
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert list(table["id"]) == ["007", "NA", "3", "x"]
    assert list(table["label"].notna()) == [True, False, True, False]
    assert [None if pd.isna(reason) else reason for reason in table["reason"]] == [
        None,
        "null",
        None,
        "not text: int 5",
    ]
    assert set(table["model_version"]) == {"1"} and set(table["run_id"]) == {tiny_outcome[0].run_id}
    assert table.loc[0, ["probability_cat", "probability_dog", "probability_owl"]].sum() == pytest.approx(1.0)
    assert outcome.rows == 4 and outcome.unscored == 2


def test_rows_that_cannot_be_used_are_set_aside_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tiny_file(tmp_path / "some_bad.csv", rows=360)
    odd = [
        "r1,the purr came twice,Cat ",
        "x,,cat",
        "x,both,cat",
        "x,both,dog",
        f"x,{'hoot ' * 30_000},owl",
        "x,one,emu",
    ]
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in odd))
    config = DataConfig(path=path, clean_labels=True, drop_rare_labels=True)
    outcome = train(path, "set-aside", data=config, model=ModelConfig(embedding_dim=8, lstm_units=4))
    rows = outcome.rows
    assert rows["quarantined"] == 4 and rows["train"] + rows["validation"] + rows["test"] == 362
    run = MlflowClient().get_run(outcome.run_id).data
    assert run.metrics["rows.cut"] == 1 and json.loads(run.tags["labels"]) == ["cat", "dog", "owl"]
    remarks = run.tags["data_remarks"]
    assert remarks.splitlines() == [
        "Column 'id' repeats or has blanks, so rows are numbered; --data.id-column id would insist on it.",
        "Merged 1 spellings of labels into the most frequent ones: 'cat' (122) and 'Cat ' (1).",
        "Set aside 3 of 366 rows: text_has_one_label (2), text_is_long_enough (1).",
        "Left out labels with too few different texts: 'emu' (1).",
        "Cut 1 texts to 100,000 characters (data.max_characters).",
    ]
    assert [line for line in remarks.splitlines() if line not in caplog.text] == []
    listed = mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path="validation/bad_rows.csv")
    assert pd.read_csv(listed)["row"].tolist() == [362, 363, 364, 366]


def test_a_split_by_time_tests_on_the_newest_rows(tmp_path: Path) -> None:
    path = write_tiny_file(tmp_path / "dated.csv", rows=100)
    header, *lines = path.read_text().splitlines()
    dated = [f"{line},{2024 + n % 4}-0{1 + n // 4 % 9}-01T10:00:00Z" for n, line in enumerate(lines)]
    path.write_text("\n".join([f"{header},date", *dated, "x,the purr came,cat,soon"]) + "\n")
    outcome = train(path, "dated", split=SplitConfig(time_column="date"))
    assert outcome.rows["quarantined"] == 1
    file = mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path="split/splits.parquet")
    newest = pd.DataFrame(
        {"time": [line.rpartition(",")[2] for line in dated], "split": pd.read_parquet(file)["split"]}
    )
    first, last = newest.groupby("split")["time"].min(), newest.groupby("split")["time"].max()
    assert last["train"] < first["validation"] <= last["validation"] < first["test"]


def test_an_edited_row_and_a_deleted_stage_folder_are_noticed(tmp_path: Path, state: Path) -> None:
    path = write_tiny_file(tmp_path / "edited.csv", rows=66)  # Cached by no other test.
    splits = state / "stages" / "splits"
    of_others = set(splits.iterdir()) if splits.exists() else set()
    first = train(path, "edited")
    path.write_text(path.read_text().replace("came at 65", "went at 65"))
    assert "Cached" not in set(task_states(train(path, "edited")).values())
    path.write_text(path.read_text().replace("went at 65", "came at 65"))
    for folder in set(splits.iterdir()) - of_others:
        for file in folder.glob("*.parquet"):
            file.unlink()
    states = task_states(again := train(path, "edited"))
    assert states["load-examples"] == "Cached" and states["split-examples"] == "Completed"
    assert again.metrics == first.metrics


def test_a_changed_dropout_rate_computes_from_training_on(tiny_outcome: tuple[Any, Path]) -> None:
    _, path = tiny_outcome
    model = ModelConfig(embedding_dim=8, lstm_units=4, dropout_rate=0.11)
    states = task_states(train(path, "dropout", model=model))
    cached = [name for name, state in states.items() if state == "Cached"]
    assert sorted(cached) == ["fit-baseline", "fit-ngram-models", "load-examples", "split-examples",
                              "tokenize-and-pad", "validate-examples"]  # fmt: skip


def test_a_signal_while_tensorflow_traces_kills_the_run_and_does_not_fail_it(
    tiny_outcome: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise AssertionError  # As autograph's __exit__ does.

    monkeypatch.setattr(lstm_model.network.training, "train_network", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_outcome[1], "stopped", training=TrainingConfig(epochs=1, seed=77))
    latest = runs_of().iloc[0]
    assert latest["status"] == "KILLED" and latest["tags.failure_reason"] == "interrupted"


def test_a_warm_start_takes_over_the_champion_and_says_so(tiny_outcome: tuple[Any, Path]) -> None:
    _, path = tiny_outcome
    training = TrainingConfig(epochs=1, batch_size=16, warm_start="champion")
    fresh = train(path, "warm", training=training)
    assert "warm_start.tokens" not in MlflowClient().get_run(fresh.run_id).data.metrics  # There was no champion yet.
    warm = MlflowClient().get_run(train(path, "warm", training=training).run_id).data
    assert warm.tags["warm_start_version"] == fresh.version
    assert warm.metrics["warm_start.layers"] == 3 and warm.metrics["warm_start.tokens"] > 10


def test_labels_that_mlflow_would_refuse_as_names_are_labels_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    labels = [".", "a/../b", "NA", 'say "x", $y$']
    frame = pd.DataFrame(
        [{"text": f"text {n} about {n % 4}", "label": labels[n % 4], "unrelated": "x"} for n in range(48)]
    )
    frame.to_csv(path, index=False)
    outcome = train(path, "odd")
    metrics = MlflowClient().get_run(outcome.run_id).data.metrics
    assert len([name for name in metrics if name.startswith("test_f1/")]) == 4
    answers = mlflow.pyfunc.load_model("models:/odd@champion").predict(pd.DataFrame({"text": ["text about 2"]}))
    assert set(answers.columns) == {"label", "score", *(f"probability_{label}" for label in labels)}


@pytest.mark.parametrize(
    "flags",
    [
        ["--preset", "article"],
        ["--tokenization.kind", "bpe", "--training.class-weights", "balanced", "--model.pooling", "mean"],
        ["--data.split-column", "part", "--data.labels", "cat,dog,owl", "--model.lstm-layers", "2"],
    ],
    ids=lambda flags: flags[0],
)
def test_presets_and_options_run_from_the_command_line(flags: list[str], tmp_path: Path) -> None:
    from flows.cli import main

    frame = pd.read_csv(write_tiny_file(tmp_path / "tiny.csv"), dtype=str)
    frame["part"] = ["test" if number % 10 > 7 else "train" for number in range(len(frame))]
    frame.to_csv(tmp_path / "tiny.csv", index=False)
    name = f"options{flags[0].replace('.', '').strip('-')}"
    arguments = ["--data.path", str(tmp_path / "tiny.csv"), "--registration.model-name", name, "--training.epochs", "1"]
    arguments += ["--promotion.min-macro-f1", "0", "--no-promotion.beat-guessing"]
    assert main(["train", *arguments, *flags]) == 0
    assert str(MlflowClient().get_model_version_by_alias(name, "champion").version) == "1"


def test_a_version_whose_vocabulary_is_gone_is_rejected_as_unservable(
    tiny_outcome: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = tiny_outcome
    register_model = mlflow.register_model

    def lose_the_vocabulary(uri: str, *rest: Any, **options: Any) -> Any:
        folder = Path(mlflow.artifacts.download_artifacts(uri))  # A local store hands out its own folder.
        (folder / "artifacts" / "classifier" / "tokenizer.json").unlink()
        return register_model(uri, *rest, **options)

    monkeypatch.setattr(check_servable, "find_servability", SERVED_REALLY)
    good = train(path, "damaged")
    monkeypatch.setattr(mlflow, "register_model", lose_the_vocabulary)
    damaged = train(path, "damaged", training=TrainingConfig(epochs=2, batch_size=16, seed=2))
    assert not damaged.promoted and damaged.version == "2"
    assert damaged.reason == "servability: tokenizer.json is missing in the registry"
    assert str(MlflowClient().get_model_version_by_alias("damaged", "champion").version) == good.version
    assert {"servability.cold_start_seconds", "servability.p95_milliseconds"} <= set(
        MlflowClient().get_run(good.run_id).data.metrics
    )


@pytest.mark.parametrize("lost", ["version", "model", "file"])
def test_a_scheduled_run_with_nothing_changed_registers_again_what_somebody_removed(
    lost: str, tiny_outcome: tuple[Any, Path]
) -> None:
    client, name = MlflowClient(), f"lost-{lost}"
    first = train(tiny_outcome[1], name)
    assert train(tiny_outcome[1], name, trigger="schedule").run_id == first.run_id  # Unchanged: there is no other run.
    if lost == "version":
        client.delete_model_version(name, first.version)
    elif lost == "model":
        client.delete_registered_model(name)
    else:
        model = client.get_logged_model(client.get_model_version(name, first.version).source.removeprefix("models:/"))
        Path(model.artifact_location.removeprefix("file://"), "artifacts/classifier/model.onnx").unlink()
    again = train(tiny_outcome[1], name, trigger="schedule")
    assert again.run_id != first.run_id and again.version == ("1" if lost == "model" else "2")
    assert (
        len(mlflow.pyfunc.load_model(f"models:/{name}/{again.version}").predict(pd.DataFrame({"text": ["purr"]}))) == 1
    )
    assert again.decision == "promoted" or lost == "file"
    assert train(tiny_outcome[1], name, trigger="schedule").run_id == again.run_id
