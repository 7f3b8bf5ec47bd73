"""`lstm-text compare`: two runs whose artifacts are logged by hand, found, matched and told apart."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from flows.cli import main
from lstm_model.errors import ModelError, UsageError
from tasks.reports.compare_runs import compare_runs
from tasks.runtime.tracking import ensure_experiment
from tests.evaluations import evaluation, predictions
from tests.pages import Page

LABELS = ["cat", "dog", "owl"]
NUMBERS = itertools.count()


@pytest.fixture
def log_run(tmp_path: Path) -> Callable[..., str]:
    """Return a function that logs a finished run with the artifacts of an evaluation and returns its id."""

    def log(
        *,
        skill: float = 0.8,
        labels: list[str] = LABELS,
        rows: pd.DataFrame | None = None,
        trained_on: list[str] | None = None,
        settings: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        name: str | None = None,
    ) -> str:
        client = MlflowClient()
        name = name or f"run {next(NUMBERS)}"
        run_id = client.create_run(ensure_experiment("compared"), run_name=name, tags=tags or {}).info.run_id
        rows = predictions(labels, rows=150, skill=skill) if rows is None else rows
        folder = tmp_path / run_id
        folder.mkdir()
        rows.to_parquet(folder / "predictions.parquet", index=False)
        (folder / "evaluation.json").write_text(json.dumps(evaluation(labels, rows)))
        client.log_artifacts(run_id, str(folder), "evaluation")
        if trained_on is not None:
            parts = {"text_digest": [*rows["text_digest"], *trained_on],
                     "split": ["test"] * len(rows) + ["train"] * len(trained_on)}  # fmt: skip
            pd.DataFrame(parts).to_parquet(tmp_path / "splits.parquet")
            client.log_artifact(run_id, str(tmp_path / "splits.parquet"), "split")
        config: dict[str, dict[str, Any]] = {"evaluation": {"bootstrap_rounds": 200}}
        for key, value in (settings or {}).items():
            section, _, field = key.partition(".")
            config.setdefault(section, {})[field] = value
        client.log_dict(run_id, config, "config.json")
        client.log_metric(run_id, "test_macro_f1", skill)
        client.set_terminated(run_id)
        return run_id

    return log


def test_a_better_run_is_named_with_figures_settings_and_examples(
    log_run: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = log_run(skill=0.98, trained_on=[], settings={"model.lstm_units": 64, "only.here": 1})
    bad = log_run(skill=0.3, trained_on=[], settings={"model.lstm_units": 32})
    page = tmp_path / "page.html"
    assert main(["compare", good[:10], bad, "--html", str(page), "--json"]) == 0
    printed = capsys.readouterr().out
    assert "A is better beyond chance." in printed and "| model.lstm_units | 64 | 32 |" in printed
    assert "| only.here | 1 | missing |" in printed and "only A is right" in printed
    told = json.loads(printed.splitlines()[-1])
    macro_f1 = told["figures"][0]
    assert macro_f1["beyond_chance"] and macro_f1["interval"][0] > 0.2
    assert told["rows"]["compared"] == 150 and len(told["only_a_right"]) == 20
    taken_apart = Page(page.read_text("utf-8"))
    assert taken_apart.open == [] and not [t for t in taken_apart.loaded if not t.startswith("#")]
    assert "A is better beyond chance." in taken_apart.text and "None" not in taken_apart.text

    assert main(["compare", good, bad, "--html", str(page)]) == 2
    assert "Add --overwrite" in capsys.readouterr().err
    assert main(["compare", bad, good, "--html", str(page), "--overwrite"]) == 0
    assert "B is better beyond chance." in page.read_text("utf-8")


def test_equal_answers_are_no_better(log_run: Callable[..., str]) -> None:
    compared = compare_runs(log_run(), log_run())
    assert compared.verdict == "Neither is better beyond chance." and not compared.manifests_found
    assert compared.agreement["only_a_right"] == 0


def test_rows_that_the_other_was_trained_on_are_counted_and_left_out(log_run: Callable[..., str]) -> None:
    rows = predictions(LABELS, rows=60)
    a = log_run(rows=rows, trained_on=[])
    b = log_run(rows=rows.head(40), trained_on=list(rows["text_digest"].tail(20)))
    compared = compare_runs(a, b)
    assert (compared.rows.compared, compared.rows.a_rows_trained_on_by_b) == (40, 20)


def test_without_a_second_run_it_is_the_champion_or_the_previous_one_for_the_champion_itself(
    log_run: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    client, name = MlflowClient(), "compared-with-champion"
    client.create_registered_model(name)
    runs = [log_run(tags={"model_name": name, "model_version": str(number)}) for number in (1, 2, 3)]
    for number, run_id in enumerate(runs, start=1):
        client.create_model_version(name, source=f"runs:/{run_id}/none", run_id=run_id)
        client.set_registered_model_alias(name, "champion", str(number))
        if number > 1:
            client.set_registered_model_alias(name, "previous", str(number - 1))
        else:
            with pytest.raises(UsageError, match=f"made the champion of {name}, and there is no previous champion"):
                compare_runs(run_id, None)
    first, previous, champion = runs
    for wanted, other, a, b in (
        (first, champion, f"{name} 1)", f"{name} 3, the champion)"),
        (previous, champion, f"{name} 2)", f"{name} 3, the champion)"),
        (champion, previous, f"{name} 3, the champion)", f"{name} 2, the previous champion)"),
    ):
        assert main(["compare", wanted]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [lines[0][:2], lines[2][:2]] == ["A:", "B:"] and wanted in lines[0] and other in lines[2]
        assert lines[0].endswith(a) and lines[2].endswith(b)


def test_a_run_is_found_by_its_name_unless_two_have_it(log_run: Callable[..., str]) -> None:
    named, other = log_run(name="it's \N{SNOWMAN}"), log_run(name="twice")
    assert compare_runs("it's \N{SNOWMAN}", other).a["run_id"] == named
    again = log_run(name="twice")
    with pytest.raises(ModelError, match=r"2 runs have .* name 'twice'") as failure:
        compare_runs("twice", named)
    assert other[:8] in str(failure.value) and again[:8] in str(failure.value)


@pytest.mark.parametrize("reference", ["0" * 32, "no such run", "' OR 1=1 \"", "%", "ab"])
def test_an_unknown_run_is_told_with_runs_that_exist(reference: str, log_run: Callable[..., str]) -> None:
    known = log_run()
    with pytest.raises(ModelError, match="No runs have the id") as failure:
        compare_runs(reference, known)
    assert known[:8] in str(failure.value) and failure.value.exit_code == 4


def test_a_run_without_an_evaluation_is_told_with_how_it_ended(log_run: Callable[..., str]) -> None:
    client = MlflowClient()
    failed = client.create_run(ensure_experiment("compared"), tags={"failure_reason": "out of rows"}).info.run_id
    client.set_terminated(failed, "FAILED")
    with pytest.raises(ModelError, match=r"that this release can read .the run is FAILED: out of rows"):
        compare_runs(failed, log_run())


def test_an_evaluation_of_an_earlier_version_is_told(log_run: Callable[..., str]) -> None:
    run_id = log_run()
    old = predictions(LABELS).drop(columns=["text", "text_digest"])
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="evaluation"))
    old.to_parquet(folder / "predictions.parquet")
    MlflowClient().log_artifact(run_id, str(folder / "predictions.parquet"), "evaluation")
    with pytest.raises(ModelError, match="that this release can read"):
        compare_runs(run_id, log_run())


def test_other_labels_and_other_rows_cannot_be_compared(log_run: Callable[..., str]) -> None:
    a = log_run()
    with pytest.raises(ModelError, match="labels of A alone: owl; of B alone: none"):
        compare_runs(a, log_run(labels=["cat", "dog"]))
    others = predictions(LABELS, rows=30)
    with pytest.raises(ModelError, match="A has 150 test rows, B 30, 0 of them in both"):
        compare_runs(a, log_run(rows=others.assign(text_digest=others["text_digest"] + "x")))


def test_a_run_is_not_compared_with_itself(log_run: Callable[..., str]) -> None:
    run_id = log_run()
    with pytest.raises(UsageError, match=r"named run \w+ twice"):
        compare_runs(run_id, run_id[:12])
