"""Scored batches beside the reference of their version: what is written down, and the one event that follows.

Slow: each flow run takes seconds, and Prefect's server is asked for the events that it has.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

import tasks.scoring.score_file
import tasks.scoring.scoring_job
from flows.cli import main
from flows.monitoring import watch_drift
from flows.scoring import score_texts
from lstm_model.classifier.classifier import Classifier
from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from lstm_model.drift.profile import ProfileBuilder, Reference
from tasks.monitoring.drift_event import sustained
from tasks.monitoring.drift_history import Entry, Series
from tests.models import LABELS, WORDS, register, write_classifier

pytestmark = pytest.mark.usefixtures("prefect_server")


def usual(first: int, rows: int = 60) -> list[str]:
    return [f"the {WORDS[n % 5]} came at {n % 5} and {'abc'[n % 3]} left {n}" for n in range(first, first + rows)]


def strange(first: int, rows: int = 60) -> list[str]:
    return [f"quarterly filings {n} of ministers {n * 7}" for n in range(first, first + rows)]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's folder with a reference: 300 usual texts, 180 of 200 test rows right."""
    folder = write_classifier(tmp_path_factory.mktemp("model") / "classifier")
    loaded = Classifier.load(folder)
    builder = ProfileBuilder(LABELS, loaded.encoder)
    builder.see_texts(usual(100_000, 300), first_row=0)
    builder.see_answers(loaded.predict_probabilities(usual(100_000, 300)))
    Reference(builder.profile(), test_rows=200, test_right=180).save(folder)
    return folder


@pytest.fixture
def name(classifier: Path) -> str:
    """A model of its own for a test, with a champion."""
    name = f"watched-{uuid4().hex[:8]}"
    register(classifier, name)
    return name


def write(path: Path, texts: list[str]) -> Path:
    pd.DataFrame({"id": [f"r{n}" for n in range(len(texts))], "text": texts}).to_csv(path, index=False)
    return path


def score(name: str, texts: list[str], folder: Path, **others: Any) -> Any:
    path = write(folder / f"{uuid4().hex[:8]}.csv", texts)
    return score_texts(path, path.with_suffix(".parquet"), model_uri=f"models:/{name}@champion", **others)


def runs_of(name: str, kind: str) -> pd.DataFrame:
    wanted = f"tags.model_name = '{name}' and tags.kind = '{kind}'"
    return mlflow.search_runs(experiment_names=["lstm-text-monitoring"], filter_string=wanted)


def events_of(name: str) -> list[dict[str, Any]]:
    """The payloads of the events that Prefect's server has, oldest first."""
    wanted = EventFilter(
        event=EventNameFilter(name=["lstm-text.drift"]), resource=EventResourceFilter(id=[f"lstm-text.model.{name}"])
    )
    with get_client(sync_client=True) as client:
        return [event.payload for event in reversed(client.read_events(wanted, limit=50).events)]


def test_a_batch_like_the_reference_is_stable_and_written_down(name: str, tmp_path: Path) -> None:
    drift = score(name, usual(0), tmp_path).drift
    assert (drift.verdict, drift.number, drift.event) == ("stable", 1, None)
    run = MlflowClient().get_run(drift.run_id)
    expected = {"kind": "batch", "model_name": name, "model_version": "1", "drifted": "no"}
    assert {key: run.data.tags[key] for key in expected} == expected
    assert len(run.data.tags["input_digest"]) == 64 and run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == 60 and run.data.metrics["words_limit"] == 0.7
    assert sum(run.data.metrics[f"share/{label}"] for label in LABELS) == pytest.approx(1)
    files = {item.path for item in MlflowClient().list_artifacts(drift.run_id)}
    assert files == {"report.html", "batch.json"}
    page = Path(mlflow.artifacts.download_artifacts(run_id=drift.run_id, artifact_path="report.html")).read_text()
    assert "stable" in page and name in page


def test_figures_of_all_batches_are_steps_of_the_versions_run(name: str, tmp_path: Path) -> None:
    values = [score(name, texts, tmp_path).drift.figures["words"] for texts in (usual(0), strange(0))]
    series = runs_of(name, "series")
    assert len(series) == 1
    history = MlflowClient().get_metric_history(series.iloc[0]["run_id"], "batch/words")
    assert [(metric.step, metric.value) for metric in history] == [(1, values[0]), (2, values[1])]
    assert set(runs_of(name, "batch")["tags.mlflow.parentRunId"]) == {series.iloc[0]["run_id"]}


def test_two_drifted_batches_of_three_send_one_event_until_the_champion_changes(
    name: str, classifier: Path, tmp_path: Path
) -> None:
    outcomes = [score(name, texts, tmp_path).drift for texts in (strange(0), usual(0), strange(100))]
    assert [outcome.verdict for outcome in outcomes] == ["drifted", "stable", "drifted"]
    assert [outcome.event for outcome in outcomes[:2]] == [None, None] and "is sent" in outcomes[2].event
    batches = [outcomes[2].run_id, outcomes[0].run_id]
    payload = {"model_name": name, "version": "1", "reason": "drift", "batches": batches}
    assert events_of(name) == [payload]

    later = score(name, strange(200), tmp_path).drift
    assert "no event: the last one is from" in later.event and events_of(name) == [payload]

    register(classifier, name)
    assert [score(name, strange(n), tmp_path).drift.event for n in (300,)] == [None]
    assert "is sent" in score(name, strange(400), tmp_path).drift.event
    assert [event["version"] for event in events_of(name)] == ["1", "2"]


def test_after_the_cooldown_the_next_event_may_go(name: str, tmp_path: Path) -> None:
    config = DriftConfig(cooldown_days=0)
    told = [score(name, strange(n), tmp_path, drift=config).drift.event for n in (0, 100, 200)]
    assert told[0] is None and "is sent" in told[1] and "is sent" in told[2]
    assert len(events_of(name)) == 2


def test_an_event_whose_process_died_before_sending_is_sent_by_the_next_batch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tasks.monitoring.drift_event.emit_event", lambda *args, **kwargs: None)
        patch.setattr("tasks.monitoring.drift_event.DELIVERY_SECONDS", 0.5)
        told = [score(name, strange(n), tmp_path).drift.event for n in (0, 100)]
    assert "not confirmed" in told[1] and events_of(name) == []
    assert "no event: the last one is from" in score(name, strange(200), tmp_path).drift.event  # It may be on its way.
    monkeypatch.setattr("tasks.monitoring.drift_event.LOST_AFTER", pd.Timedelta(0).to_pytimedelta())
    assert "is sent" in score(name, strange(300), tmp_path).drift.event
    assert len(events_of(name)) == 1


def test_of_many_that_finish_at_once_one_claims_the_event(name: str) -> None:
    series = Series.open("lstm-text-monitoring", name, "1")
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda n: series.claim({"batches": []}, number=1, by=f"batch {n}"), range(8)))
    assert sum(claim is not None for claim in claims) == 1 and len(series.events()) == 1


def test_one_series_is_left_where_many_are_made_at_once(name: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: Series.open("lstm-text-monitoring", name, "1"), range(6)))
    assert len({Series.open("lstm-text-monitoring", name, "1").run_id, *runs_of(name, "series")["run_id"]}) == 1


def entry(drifted: str, digest: str) -> Entry:
    from datetime import UTC, datetime

    return Entry(
        run_id=digest, number=1, input_digest=digest, drifted=drifted, time=datetime.now(UTC), name="", metrics={}
    )


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("y", 0), ("yy", 2), ("yn", 0), ("ynn", 0), ("yny", 2), ("nyy", 0), ("yyy", 3), ("ynny", 0),
        ("y-y", 2), ("y--ny", 2), ("-yy", 2), ("", 0),
    ],
)  # fmt: skip
def test_drift_lasts_where_the_newest_and_one_more_of_three_have_drifted(verdicts: str, expected: int) -> None:
    """Newest first; `-` is a batch that was not judged."""
    words = {"y": "yes", "n": "no", "-": "not judged"}
    assert len(sustained([entry(words[one], str(n)) for n, one in enumerate(verdicts)])) == expected


def test_one_input_counts_once() -> None:
    assert sustained([entry("yes", "same"), entry("yes", "same")]) == []


def test_a_version_that_is_not_champion_sends_nothing(name: str, classifier: Path, tmp_path: Path) -> None:
    register(classifier, name)
    told = []
    for n in (0, 100):
        path = write(tmp_path / f"{n}.csv", strange(n))
        told.append(score_texts(path, tmp_path / f"{n}.parquet", model_uri=f"models:/{name}/1").drift.event)
    assert told[0] is None and "version 1 is not the champion (version 2 is)" in told[1]
    MlflowClient().delete_registered_model_alias(name, "champion")
    path = write(tmp_path / "last.csv", strange(200))
    outcome = score_texts(path, tmp_path / "last.parquet", model_uri=f"models:/{name}/1")
    assert "(there is none)" in outcome.drift.event and events_of(name) == []


def test_scoring_that_goes_on_and_scoring_on_dask_see_the_same_batch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(tasks.scoring.scoring_job, "CHUNK_ROWS", 7)
    source, answered, answer = write(tmp_path / "in.csv", usual(0, 80)), [], tasks.scoring.score_file._answer

    def fails_at_the_fourth(job: Any, first_row: int, chunk: pd.DataFrame) -> Any:
        answered.append(first_row)
        if len(answered) == 4:
            raise RuntimeError("the machine stumbles")
        return answer(job, first_row, chunk)

    def figures(output: str, **others: Any) -> dict[str, float]:
        return score_texts(source, tmp_path / output, model_uri=f"models:/{name}@champion", **others).drift.figures

    with monkeypatch.context() as patch:
        patch.setattr(tasks.scoring.score_file, "_answer", fails_at_the_fourth)
        with pytest.raises(RuntimeError, match="stumbles"):
            figures("out.parquet")
        gone_on = figures("out.parquet")
    assert answered.count(1) == 1
    assert gone_on == figures("whole.parquet") == watch(name, source, repeat=True).drift.figures
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        assert figures("dask.parquet", engine="dask", scheduler=cluster.scheduler_address) == gone_on
    assert len(runs_of(name, "batch")) == 1  # One input, however often it is scored.


def test_answers_below_the_threshold_count_by_their_best_label(name: str, tmp_path: Path) -> None:
    plain, strict = (score(name, usual(0), tmp_path, threshold=least) for least in (0.0, 1.0))
    assert set(strict.labels) >= {"abstain"} and strict.labels["abstain"] == 60
    assert strict.drift.figures == plain.drift.figures


def test_without_drift_nothing_is_compared(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.csv", strange(0))
    arguments = ["score", str(source), "--output", str(tmp_path / "out.csv"), "--model-uri", f"models:/{name}@champion"]
    assert main([*arguments, "--no-drift", "--json"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["drift"] is None
    assert runs_of(name, "batch").empty


def test_answers_stand_where_comparing_fails(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no server")

    monkeypatch.setattr("tasks.monitoring.comparisons.Series.open", unreachable)
    monkeypatch.setattr("tasks.monitoring.comparisons.compare_batch.retries", 0)
    outcome = score(name, usual(0), tmp_path)
    assert outcome.drift.verdict == "not compared" and "no server" in outcome.drift.text
    assert "lstm-text drift" in outcome.drift.text and len(pd.read_parquet(outcome.output)) == 60


@pytest.mark.parametrize("texts", [["one row"], ["the same text"] * 500, []], ids=["one row", "constant", "no row"])
def test_a_batch_that_tells_nothing_is_not_judged_and_says_so(texts: list[str], name: str, tmp_path: Path) -> None:
    outcome = score(name, texts, tmp_path)
    assert outcome.rows == len(texts) and outcome.drift.verdict == "not judged"
    assert "Too few rows to compare" in outcome.drift.text and "at least 30 are needed" in outcome.drift.text
    assert runs_of(name, "batch")["tags.drifted"].tolist() == ["not judged"]


def test_a_version_without_a_reference_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    register(write_classifier(tmp_path / "classifier"), "unwatched")
    outcome = score("unwatched", usual(0), tmp_path)
    assert outcome.drift.verdict == "no reference" and "Train again" in outcome.drift.text
    assert main(["drift", str(write(tmp_path / "in.csv", usual(0))), "--model-uri", "models:/unwatched@champion"]) == 4
    assert "unwatched version 1 has no training reference" in capfd.readouterr().err


def watch(name: str, path: Path, **others: Any) -> Any:
    return watch_drift(path, model_uri=f"models:/{name}@champion", **others)


def test_the_daily_watch_ends_completed_where_nothing_is_new(name: str, tmp_path: Path) -> None:
    source = tmp_path / "today.csv"
    state = watch(name, source, return_state=True)
    assert state.is_completed() and f"no file at {source}" in state.message
    write(source, usual(0))
    assert watch(name, source).drift.verdict == "stable"
    state = watch(name, source, return_state=True)
    assert state.is_completed() and "nothing new" in state.message
    assert len(runs_of(name, "batch")) == 1
    write(source, strange(0))
    state = watch(name, source, return_state=True)
    assert state.is_completed() and "drift: drifted (batch 2 of" in state.message and len(runs_of(name, "batch")) == 2


def test_the_command_compares_without_writing_answers(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.csv", strange(0))
    arguments = ["drift", str(source), "--model-uri", f"models:/{name}@champion", "--json"]
    assert main(arguments) == 5
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert told["drift"]["verdict"] == "drifted" and told["accuracy"] is None
    assert main([*arguments, "--drift.min-rows", "100"]) == 0  # Asked again, with other limits; not logged again.
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert told["drift"]["verdict"] == "not judged" and "not logged again" in told["drift"]["text"]
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"] and len(runs_of(name, "batch")) == 1


def write_feedback(path: Path, texts: list[str], classifier: Path, *, wrong: int) -> Path:
    """Label the texts as the classifier does, but for the first few."""
    best = Classifier.load(classifier).predict_probabilities(texts).argmax(axis=1)
    labels = [LABELS[(i + (n < wrong)) % 3] for n, i in enumerate(best)]
    pd.DataFrame({"id": [f"r{n}" for n in range(len(texts))], "label": labels}).to_csv(path, index=False)
    return path


def test_real_accuracy_that_stays_low_sends_the_event_for_feedback(name: str, classifier: Path, tmp_path: Path) -> None:
    outcomes = []
    for n in (0, 100):
        source = write(tmp_path / f"{n}.csv", usual(n, 200))
        labels = write_feedback(tmp_path / f"{n}.labels.csv", usual(n, 200), classifier, wrong=80)
        outcomes.append(watch(name, source, feedback=labels))
    assert [outcome.drift.verdict for outcome in outcomes] == ["stable", "stable"]
    first, second = (outcome.accuracy for outcome in outcomes)
    assert first.verdict == second.verdict == "drifted" and first.figures["accuracy"] == 0.6
    assert first.event is None and "is sent" in second.event
    assert [(event["reason"], event["batches"]) for event in events_of(name)] == [
        ("feedback", [second.run_id, first.run_id])
    ]
    series = runs_of(name, "series").iloc[0]["run_id"]
    history = MlflowClient().get_metric_history(series, "feedback/accuracy")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.6), (2, 0.6)]
    again = watch(name, source, feedback=labels)
    assert "nothing new" in again.message and len(runs_of(name, "feedback")) == 2


def test_feedback_on_scored_answers_is_that_of_the_version_that_answered(
    name: str, classifier: Path, tmp_path: Path
) -> None:
    answers = Path(score(name, usual(0), tmp_path, drift=None).output)
    register(classifier, name)
    labels = write_feedback(tmp_path / "labels.csv", usual(0), classifier, wrong=3)
    outcome = watch(name, answers, feedback=labels)
    assert outcome.drift is None and outcome.accuracy.version == "1"
    assert outcome.accuracy.verdict == "stable" and outcome.accuracy.figures["accuracy"] == 0.95
    pd.read_parquet(answers).to_csv(saved := tmp_path / "saved.csv", sep=":", index=False)
    again = watch(name, saved, feedback=labels, dialect=Dialect(delimiter=":"))
    assert again.accuracy.figures == outcome.accuracy.figures


BAD_FEEDBACK = {
    "no such file": (None, 2, "no such file"),
    "other columns": ("key,class\nr1,cat\n", 3, "the columns 'id' and 'label'"),
    "no rows": ("id,label\n", 3, "No row of"),
    "ids of nothing": ("id,label\nx1,cat\n", 3, "(1 ids, such as 'x1')"),
    "an id with two labels": ("id,label\nr1,cat\nr1,dog\n", 3, "two labels for id 'r1': 'cat' and 'dog'"),
    "labels of another model": ("id,label\nr1,spam\nr2,ham\n", 3, "the model's are 'cat', 'dog', 'owl'"),
}


@pytest.mark.parametrize("case", BAD_FEEDBACK)
def test_feedback_that_cannot_be_used_is_refused(
    case: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    contents, code, words = BAD_FEEDBACK[case]
    source, labels = write(tmp_path / "in.csv", usual(0)), tmp_path / "labels.csv"
    if contents is not None:
        labels.write_text(contents)
    arguments = ["drift", str(source), "--model-uri", f"models:/{name}@champion", "--feedback", str(labels)]
    assert main(arguments) == code
    message = capfd.readouterr().err
    assert words in message and "Traceback" not in message
    assert runs_of(name, "feedback").empty


def test_answers_without_feedback_and_a_missing_champion_are_refused(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = score(name, usual(0), tmp_path, drift=None).output
    assert main(["drift", answers, "--model-uri", f"models:/{name}@champion"]) == 2
    assert "--feedback FILE" in capfd.readouterr().err
    MlflowClient().delete_registered_model_alias(name, "champion")
    source = write(tmp_path / "in.csv", usual(0))
    assert main(["drift", str(source), "--model-uri", f"models:/{name}@champion"]) == 4
    assert f"models:/{name}@champion" in capfd.readouterr().err
