"""The stage store: a folder appears whole or not at all, and a damaged one is never used."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.states import Completed, State

from lstm_model.config.data import DataConfig
from lstm_model.config.model import ModelConfig
from lstm_model.digests import digest_file
from tasks.runtime import stage_store as stages
from tasks.runtime.stage_store import StageRecord, build, find, write_json
from tasks.runtime.tracking import Run

RUN = Run(run_id="r", experiment_id="0", name="n", data_name="d")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stages, "stages_root", lambda: tmp_path)
    monkeypatch.setattr(stages, "get_run_logger", lambda: __import__("logging").getLogger("test"))
    return tmp_path


def write_answer(folder: Path) -> dict[str, int]:
    write_json(folder / "answer.json", 42)
    return {"rows": 1}


def test_a_stage_is_built_once_and_then_read() -> None:
    calls = []

    def write(folder: Path) -> dict[str, int]:
        calls.append(folder)
        return write_answer(folder)

    first, second = build("raw", "d1", write), build("raw", "d1", write)
    assert first == second and first.facts == {"rows": 1} and len(calls) == 1


def test_a_stage_that_fails_leaves_no_folder(store: Path) -> None:
    def write(folder: Path) -> dict[str, int]:
        write_json(folder / "half.json", 1)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        build("raw", "d1", write)
    assert not (store / "raw").exists()
    assert build("raw", "d1", write_answer).files.keys() == {"answer.json"}


@pytest.mark.parametrize("damage", ["other bytes", None])
def test_a_damaged_folder_is_rebuilt(damage: str | None) -> None:
    file = build("raw", "d1", write_answer).file("answer.json")
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    assert build("raw", "d1", write_answer).file("answer.json").read_text() == "42\n"


def test_a_folder_without_a_manifest_is_rebuilt(store: Path) -> None:
    (store / "raw" / "d1").mkdir(parents=True)
    assert build("raw", "d1", write_answer).files.keys() == {"answer.json"}


@pytest.mark.parametrize("edit", [('"rows": 1', '"rows": 2'), ('"raw"', '"other"'), ("{", "["), ("sha256", "sha")])
def test_an_edited_manifest_is_noticed_and_the_stage_rebuilt(store: Path, edit: tuple[str, str]) -> None:
    manifest = build("raw", "d1", write_answer).file("manifest.json")
    manifest.write_text(manifest.read_text().replace(*edit, 1))
    assert find("raw", "d1") is None and not manifest.exists()
    assert build("raw", "d1", write_answer).facts == {"rows": 1}


def test_a_folder_moved_to_another_digest_is_not_taken_for_it(store: Path) -> None:
    build("raw", "d1", write_answer).folder.rename(store / "raw" / "d2")
    assert find("raw", "d2") is None


def test_a_folder_made_before_a_time_is_built_again() -> None:
    first = build("raw", "d1", write_answer)
    made = first.file("manifest.json").stat().st_mtime
    assert find("raw", "d1", since=made) == first and find("raw", "d1", since=made + 1) is None
    build("raw", "d1", lambda folder: {**write_answer(folder), "again": 1}, since=made + 1)
    found = find("raw", "d1")
    assert found is not None and found.facts == {"rows": 1, "again": 1}


def test_a_stage_that_is_found_ends_in_the_state_cached_and_is_reported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[State[StageRecord]] = []

    def run_here(run_stage: Callable[..., Any], **options: Any) -> Callable[..., State[StageRecord]]:
        def task(return_state: bool, **inputs: Any) -> State[StageRecord]:
            returned = run_stage(**inputs)
            ended.append(returned if isinstance(returned, State) else Completed(data=returned))
            return ended[-1]

        return task

    monkeypatch.setattr(stages, "retried_task", run_here)
    monkeypatch.setattr(stages, "stage_code_digest", lambda source: "of this file")
    headlines: list[str | None] = []

    def call_timed(run: Run, name: str, call: Callable[[], Any], headline: Callable[[Any], str | None]) -> Any:
        result = call()
        headlines.append(headline(result))
        return result

    monkeypatch.setattr(stages, "call_timed", call_timed)
    reported: list[StageRecord] = []

    def report(record: StageRecord, run: Run) -> str:
        reported.append(record)
        return f"number {record.facts['number']}"

    @stages.stage("answer", report=report)
    def write_it(folder: Path, number: int) -> dict[str, int]:
        return {**write_answer(folder), "number": number}

    for number in (1, 1, 2):
        write_it(number, run=RUN)
    assert [state.name for state in ended] == ["Completed", "Cached", "Completed"]
    assert [record.facts["number"] for record in reported] == [1, 1, 2] and reported[0] == reported[1]
    assert headlines == ["number 1", "cached: number 1", "number 2"]


def test_paths_do_not_count_but_contents_and_settings_do(tmp_path: Path) -> None:
    def digest(config: DataConfig | ModelConfig | StageRecord, run: Run | None = None) -> object:
        return stages._digest_input("config", config, run)

    (tmp_path / "b").mkdir()
    for name, content in {"a.csv": "same", "b/c.csv": "same", "other.csv": "other"}.items():
        (tmp_path / name).write_text(content)
    known = digest(DataConfig(path=tmp_path / "a.csv"))
    assert digest(DataConfig(path=tmp_path / "b" / "c.csv")) == known
    assert digest(DataConfig(path=tmp_path / "other.csv")) != known
    assert digest(DataConfig(path=tmp_path / "a.csv", text_column="body")) != known
    assert digest(ModelConfig(word_vectors=tmp_path / "a.csv")) == digest(
        ModelConfig(word_vectors=tmp_path / "b/c.csv")
    )
    assert digest(ModelConfig(word_vectors=tmp_path / "other.csv")) != digest(ModelConfig())
    # A file that was edited since the run was opened has the digest that it had then.
    then = {str(tmp_path / "other.csv"): digest_file(tmp_path / "a.csv")}
    assert digest(DataConfig(path=tmp_path / "other.csv"), replace(RUN, inputs=then)) == known
    records = [StageRecord(stage="raw", digest=name, files={}) for name in ("d1", "d2")]
    assert digest(records[0]) != digest(records[1])
