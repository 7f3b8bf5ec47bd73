"""The stage store: a folder appears whole or not at all, and a damaged one is never used."""

from pathlib import Path

import pytest

from lstm_model.config.data import DataConfig
from lstm_model.config.split import SplitConfig
from tasks.runtime import stage_store as stages
from tasks.runtime.stage_store import StageRecord, build, is_sound, write_json


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
    assert not is_sound("raw", "d1") and not manifest.exists()
    assert build("raw", "d1", write_answer).facts == {"rows": 1}


def test_a_folder_moved_to_another_digest_is_not_taken_for_it(store: Path) -> None:
    build("raw", "d1", write_answer).folder.rename(store / "raw" / "d2")
    assert not is_sound("raw", "d2")


def test_paths_do_not_count_but_contents_and_settings_do() -> None:
    def digest(config: DataConfig | SplitConfig | StageRecord) -> object:
        return stages._digest_input("config", config)

    assert digest(DataConfig(path=Path("a.csv"))) == digest(DataConfig(path=Path("b/c.csv")))
    assert digest(DataConfig(text_column="body")) != digest(DataConfig())
    records = [StageRecord(stage="raw", digest=name, files={}) for name in ("d1", "d2")]
    assert digest(records[0]) != digest(records[1])
