"""Digests of the code: a stage's covers what the stage executes and no more, a run's covers everything."""

import shutil
from pathlib import Path

import pytest

from lstm_model.digests import digest_file
from tasks.runtime import source_digest
from tasks.runtime.source_digest import PROJECT, code_digest, lock_digest, stage_code_digest

EXECUTED = {
    "load_examples": ["lstm_model/data/formats/lines.py", "lstm_model/config/section.py"],
    "validate_examples": ["lstm_model/data/row_rules.py", "tasks/training/expectations.py"],
    "split_examples": ["lstm_model/data/splitting.py", "lstm_model/digests.py"],
    "tokenize_and_pad": ["lstm_model/tokens/text_encoder.py", "tasks/training/split_examples.py"],
    "train_model": ["lstm_model/network/network.py", "lstm_model/tokens/encoded_rows.py"],
    "export_classifier": ["lstm_model/network/export.py", "lstm_model/classifier/mixture.py"],
    "fit_ngram_models": ["lstm_model/ngrams/pieces.py", "lstm_model/ngrams/fit.py"],
    "fit_baseline": ["lstm_model/evaluation/baseline.py", "lstm_model/ngrams/counts.py"],
    "evaluate_classifier": ["lstm_model/evaluation/metrics.py", "lstm_model/data/formats/lines.py"],
    "describe_reference": ["lstm_model/drift/profile.py", "lstm_model/classifier/classifier.py"],
}
NEVER_EXECUTED = ["lstm_model/pages/report.py", "flows/cli.py", "tasks/runtime/tracking.py"]
DRIFT = "lstm_model/drift/statistics.py"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the source, which a test may edit."""
    for name in source_digest.PACKAGES:
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_digest, "PROJECT", tmp_path)
    return tmp_path


def digest_of(project: Path, stage: str) -> str:
    stage_code_digest.cache_clear()
    return stage_code_digest(project / "tasks" / "training" / f"{stage}.py")


def edit(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("# edited\n")


@pytest.mark.parametrize(("stage", "module"), [(stage, one) for stage, all_ in EXECUTED.items() for one in all_])
def test_an_edit_of_a_module_that_a_stage_executes_changes_its_digest(project: Path, stage: str, module: str) -> None:
    before = digest_of(project, stage)
    edit(project / module)
    assert digest_of(project, stage) != before


def test_an_import_counts_behind_more_names_than_an_instruction_has_room_for(project: Path) -> None:
    before = digest_of(project, "train_model")
    names = "".join(f"name_{number} = {number}.5\n" for number in range(600))
    file = project / "lstm_model/network/network.py"
    file.write_text(f"{file.read_text('utf-8')}\n{names}from lstm_model.pages import report\n", "utf-8")
    with_names = digest_of(project, "train_model")
    edit(project / "lstm_model/pages/report.py")
    assert before != with_names != digest_of(project, "train_model")


@pytest.mark.parametrize("stage", EXECUTED)
def test_an_edit_of_the_stage_itself_changes_its_digest(project: Path, stage: str) -> None:
    before = digest_of(project, stage)
    edit(project / "tasks" / "training" / f"{stage}.py")
    assert digest_of(project, stage) != before


@pytest.mark.parametrize("stage", EXECUTED)
def test_an_edit_of_what_a_stage_does_not_execute_leaves_its_digest(project: Path, stage: str) -> None:
    before = digest_of(project, stage)
    for module in [*NEVER_EXECUTED, *([DRIFT] if stage != "describe_reference" else [])]:
        edit(project / module)
    assert digest_of(project, stage) == before


def test_a_template_counts_for_who_imports_the_module_that_names_it(project: Path) -> None:
    with (project / "tasks" / "training" / "split_examples.py").open("a", encoding="utf-8") as file:
        file.write("from lstm_model.pages import html\n")
    stages = ("split_examples", "load_examples")
    before = [digest_of(project, stage) for stage in stages]
    edit(next((project / "lstm_model" / "pages" / "templates").glob("*.html")))
    changed = [digest_of(project, stage) != digest for stage, digest in zip(stages, before, strict=True)]
    assert changed == [True, False]


def test_an_edit_of_the_lock_changes_the_digest_of_every_stage(project: Path) -> None:
    before = {stage: digest_of(project, stage) for stage in EXECUTED}
    (project / "requirements.lock").write_text("numpy==2.0.0\n")
    assert all(digest_of(project, stage) != digest for stage, digest in before.items())


def test_the_lock_that_was_installed_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("requirements.lock", "requirements-gpu.lock"):
        (project / name).write_text(name)
    assert lock_digest() == digest_file(project / "requirements.lock")
    monkeypatch.setattr(source_digest, "distributions", lambda name: [name])
    assert lock_digest() == digest_file(project / "requirements-gpu.lock")


def test_an_edit_in_any_folder_changes_the_digest_of_the_code(project: Path) -> None:
    folders = {path.parent for path in project.rglob("*") if path.is_file()}
    assert {project / "flows" / "commands", project / "lstm_model" / "pages" / "templates"} <= folders
    digests = {code_digest()}
    for folder in sorted(folders):
        edit(next(path for path in sorted(folder.iterdir()) if path.is_file()))
        digests.add(code_digest())
    assert len(digests) == len(folders) + 1
