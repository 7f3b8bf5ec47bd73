"""Scoring files: formats, rows that cannot be scored, resuming after kill -9, Dask. Slow: processes are started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import lstm_model.data.reading
import tasks.scoring.score_file
import tasks.scoring.scoring_job
from flows.cli import main
from lstm_model.classifier.classifier import Classifier
from lstm_model.digests import digest_text
from lstm_model.errors import ContentError, ModelError, UsageError
from tasks.scoring.scoring_job import parts_folder
from tests.models import LABELS, TEXTS, register, write_classifier

pytestmark = pytest.mark.usefixtures("prefect_server")
COLUMNS = [f"probability_{label}" for label in LABELS]


@pytest.fixture(scope="module")
def model(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = write_classifier(tmp_path_factory.mktemp("model") / "classifier")
    register(folder, "scorer")
    return "models:/scorer@champion", folder


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks even of a small file."""
    monkeypatch.setattr(tasks.scoring.scoring_job, "CHUNK_ROWS", 7)


def score(path: Path, output: Path, model_uri: str, **others: Any) -> Any:
    from flows.scoring import score_texts

    return score_texts(path, output, model_uri=model_uri, **others)


def write_rows(path: Path, rows: int = 40) -> list[str]:
    texts = [f"{TEXTS[n % len(TEXTS)]} {n}" for n in range(rows)]
    pd.DataFrame({"id": [f"r{n}" for n in range(rows)], "text": texts}).to_csv(path, index=False)
    return texts


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_every_row_is_answered_as_the_library_does(ending: str, model: tuple[str, Path], tmp_path: Path) -> None:
    texts = write_rows(tmp_path / "in.csv")
    outcome = score(tmp_path / "in.csv", output := tmp_path / f"out{ending}", model[0])
    table = pd.read_parquet(output) if ending == ".parquet" else pd.read_csv(output, dtype={"model_version": str})
    assert table["id"].tolist() == [f"r{n}" for n in range(40)]
    expected = Classifier.load(model[1]).predict_probabilities(texts)
    np.testing.assert_allclose(table[COLUMNS].to_numpy(), expected, rtol=0, atol=1e-6)
    assert table["label"].tolist() == [LABELS[n] for n in expected.argmax(axis=1)]
    assert set(table["status"]) == {"scored"} and table["reason"].isna().all()
    assert outcome.rows == 40 and outcome.unscored == 0 and sum(outcome.labels.values()) == 40
    assert not parts_folder(output).exists()


def test_a_folder_and_stdin_are_scored_as_a_file_is(
    model: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "in.csv", 20)
    score(tmp_path / "in.csv", tmp_path / "file.parquet", model[0])
    table = pd.read_csv(tmp_path / "in.csv")
    (tmp_path / "parts").mkdir()
    table[:9].to_csv(tmp_path / "parts" / "1.csv", index=False, sep=";", encoding="utf-16")
    table[9:].to_csv(tmp_path / "parts" / "2.csv.gz", index=False)
    score(tmp_path / "parts", tmp_path / "folder.parquet", model[0])
    with (tmp_path / "in.csv").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["score", "-", "--output", str(tmp_path / "stdin.parquet"), "--model-uri", model[0]]) == 0
    answers = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("file", "folder", "stdin")]
    for other in answers[1:]:
        pd.testing.assert_frame_equal(answers[0].drop(columns="scored_at"), other.drop(columns="scored_at"))


@pytest.mark.parametrize("characters", [1 << 25, 200])
def test_without_ids_rows_are_numbered_through_all_chunks(
    characters: int, model: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lstm_model.data.reading, "CHUNK_CHARACTERS", characters)
    monkeypatch.setattr(tasks.scoring.scoring_job, "CHUNK_ROWS", 17)
    pd.DataFrame({"text": TEXTS}).to_parquet(tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", tmp_path / "out.parquet", model[0])
    assert pd.read_parquet(tmp_path / "out.parquet")["id"].tolist() == [str(n + 1) for n in range(len(TEXTS))]


def test_below_the_threshold_the_label_is_the_abstain_label(model: tuple[str, Path], tmp_path: Path) -> None:
    texts = write_rows(tmp_path / "in.csv")
    threshold = float(np.median(Classifier.load(model[1]).predict_probabilities(texts).max(axis=1)))
    plain, strict = (
        score(tmp_path / "in.csv", tmp_path / f"{least}.parquet", model[0], threshold=least, abstain_label="unsure")
        for least in (0.0, threshold)
    )
    before, after = pd.read_parquet(plain.output), pd.read_parquet(strict.output)
    low = before["score"] < threshold
    assert low.any() and not low.all()
    assert after["label"].tolist() == before["label"].where(~low, "unsure").tolist()
    assert after["score"].tolist() == before["score"].tolist()
    assert strict.labels["unsure"] == low.sum()


def test_an_empty_file_of_rows_gives_an_empty_output(model: tuple[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n")
    assert score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0]).rows == 0
    assert list(pd.read_parquet(tmp_path / "out.parquet").columns)[:3] == ["id", "label", "score"]


def test_a_broken_line_is_named_and_nothing_is_left(model: tuple[str, Path], tmp_path: Path) -> None:
    write_rows(tmp_path / "in.csv")
    with (tmp_path / "in.csv").open("a") as file:
        file.write("one,field,too many\n")
    with pytest.raises(ContentError, match="Line 42"):
        score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0])
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_an_interrupted_scoring_goes_on_and_another_request_starts_anew(
    model: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "in.csv")
    answered: list[int] = []
    answer = tasks.scoring.score_file._answer

    def fails_at_the_fourth(job: Any, first_row: int, chunk: pd.DataFrame) -> Any:
        answered.append(first_row)
        if len(answered) == 4:
            raise RuntimeError("the machine stumbles")
        return answer(job, first_row, chunk)

    monkeypatch.setattr(tasks.scoring.score_file, "_answer", fails_at_the_fourth)
    with pytest.raises(RuntimeError, match="stumbles"):
        score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0])
    assert not (tmp_path / "out.parquet").exists()
    outcome = score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0])
    assert answered == [1, 8, 15, 22, 22, 29, 36] and outcome.rows == 40

    answered[:] = [-1] * 1  # Fails at the fourth again, then with a changed input nothing is gone on with.
    with pytest.raises(RuntimeError, match="stumbles"):
        score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0], overwrite=True)
    write_rows(tmp_path / "in.csv", rows=41)
    answered[:] = [-1] * 9
    assert score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0], overwrite=True).rows == 41
    assert answered[9:] == [1, 8, 15, 22, 29, 36]


def test_one_scoring_at_a_time_writes_an_output(model: tuple[str, Path], tmp_path: Path, state: Path) -> None:
    write_rows(tmp_path / "in.csv")
    output = tmp_path / "out.parquet"
    (state / "locks").mkdir(exist_ok=True)
    lock = FileLock(state / "locks" / f"score-{digest_text(str(output.resolve()))[:16]}.lock")
    with lock, pytest.raises(UsageError, match="Another process is scoring into"):
        score(tmp_path / "in.csv", output, model[0])


def test_a_model_that_is_not_there_is_told_with_what_is(tmp_path: Path, model: tuple[str, Path]) -> None:
    write_rows(tmp_path / "in.csv")
    with pytest.raises(ModelError, match="models:/scorer@champion"):
        score(tmp_path / "in.csv", tmp_path / "out.parquet", "models:/scorer/99")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_dask_without_an_address_or_a_scheduler_is_refused(model: tuple[str, Path], tmp_path: Path) -> None:
    write_rows(tmp_path / "in.csv")
    with pytest.raises(UsageError, match="--scheduler ADDRESS"):
        score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0], engine="dask")
    with pytest.raises(ModelError, match="No Dask scheduler answers at tcp://127"):
        score(tmp_path / "in.csv", tmp_path / "out.parquet", model[0], engine="dask", scheduler="tcp://127.0.0.1:1")


def test_two_dask_workers_give_what_this_machine_gives(model: tuple[str, Path], tmp_path: Path) -> None:
    from distributed import LocalCluster

    write_rows(tmp_path / "in.csv")
    here = score(tmp_path / "in.csv", tmp_path / "here.parquet", model[0])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        there = score(
            tmp_path / "in.csv",
            tmp_path / "there.parquet",
            model[0],
            engine="dask",
            scheduler=cluster.scheduler_address,
        )
    assert there.labels == here.labels
    expected, found = (pd.read_parquet(one.output).drop(columns="scored_at") for one in (here, there))
    pd.testing.assert_frame_equal(found, expected)


@pytest.fixture
def champion_moves_on(model: tuple[str, Path], tmp_path: Path) -> Iterator[None]:
    yield
    from mlflow import MlflowClient

    MlflowClient().set_registered_model_alias("scorer", "champion", "1")


def test_kill_9_and_the_same_command_again(model: tuple[str, Path], tmp_path: Path, champion_moves_on: None) -> None:
    """Killed twice; in between another version becomes champion, which the scoring that began before does not take."""
    texts = [f"{TEXTS[n % len(TEXTS)]} {n}" for n in range(300_000)]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    output = tmp_path / "out.parquet"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [f"{Path(sys.executable).parent}/lstm-text", "score", str(tmp_path / "in.csv"), "--output", str(output)]
    command += ["--model-uri", model[0]]
    for parts in (3, 12):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            _wait_for_parts(output, parts, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert not output.exists()
        register(write_classifier(tmp_path / f"other{parts}", seed=parts), "scorer")
    finished = {path.name: path.stat().st_mtime_ns for path in parts_folder(output).glob("*.arrow")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3_000:]
    assert "continuing an unfinished scoring by scorer version 1" in result.stderr
    assert 12 <= len(finished) < 30
    table = pd.read_parquet(output)
    assert table["id"].tolist() == [str(n + 1) for n in range(len(texts))]
    assert set(table["model_version"]) == {"1"}
    some = np.arange(0, len(texts), 97)
    expected = Classifier.load(model[1]).predict_probabilities([texts[n] for n in some])
    np.testing.assert_allclose(table.loc[some, COLUMNS].to_numpy(), expected, rtol=0, atol=1e-6)


def _wait_for_parts(output: Path, parts: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 180
    while len(list(parts_folder(output).glob("*.arrow"))) < parts:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
