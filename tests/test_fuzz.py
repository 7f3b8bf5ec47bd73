"""`make fuzz` runs, names its seed, and reports what is no error for a user."""

import re
from pathlib import Path

import pytest

from tests import fuzz


@pytest.fixture(autouse=True)
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fuzz, "FINDINGS", tmp_path / "fuzz")
    return tmp_path / "fuzz"


def test_a_second_of_inputs_finds_nothing(capsys: pytest.CaptureFixture[str], findings: Path) -> None:
    assert fuzz.run(1, seed=7) == 0
    assert re.fullmatch(r"seed 7: [1-9][\d,]* inputs, \d+ refused, 0 findings\n", capsys.readouterr().out)
    assert not [*findings.iterdir()]


def test_what_is_found_is_kept_with_its_traceback(findings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("a bug")

    monkeypatch.setattr(fuzz, "read_columns", broken)
    assert fuzz.run(0.01, seed=7) >= 1
    [first, *_] = sorted(findings.iterdir())
    assert len([*first.iterdir()]) == 2 and "IndexError: a bug" in (first / "traceback.txt").read_text()
