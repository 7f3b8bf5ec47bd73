"""Repeat a recorded training in a process with separate run state, and compare it with the run in MLflow."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from pydantic import BaseModel

from lstm_model.config.pipeline import ADDED, REMOVED, PipelineConfig
from lstm_model.data.parts import digest_input, find_parts
from lstm_model.errors import DifferenceError, ModelError, UsageError
from lstm_model.evaluation.reproduction import Item, compare_tables, compare_values
from tasks.runs.past_run import MANIFEST, PREDICTIONS, PastRun
from tasks.runtime.child_processes import child_process, ending, interruptible
from tasks.runtime.state.local_state import PROJECT

PATHS = ("data.path", "model.word_vectors")  # What counts is the contents, which are checked before.
MACHINE = ("python", "platform", "processor", "device")


class Reproduction(BaseModel):
    """The one JSON object that `lstm-text reproduce --json` prints."""

    run_id: str
    equal: bool
    items: list[Item]
    notes: list[str]
    state: str | None

    @property
    def table(self) -> str:
        """A line per item and the notes, for a terminal."""
        lines = []
        for item in self.items:
            lines.append(f"{item.name:12}{'equal  ' if item.equal else 'DIFFERS'}  {item.recorded}")
            if not item.equal:
                lines.append(f"{'':12}  here     {item.found}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def difference(self) -> DifferenceError | None:
        names = ", ".join(item.name for item in self.items if not item.equal)
        remedy = "See the table; docs/reproduce.md says what each item depends on."
        return DifferenceError(f"The rerun of run {self.run_id} differs in {names}.", remedy) if names else None


def reproduce_run(
    run_id: str, command: Sequence[str], *, data_path: Path | None, word_vectors: Path | None, keep: bool
) -> Reproduction:
    """Repeat a recorded training up to its evaluation and compare; nothing is written to the store of the recorded run.

    command: runs the training; the path of a config file is appended.
    """
    recorded = PastRun.find(run_id)
    _check(recorded)
    config = _with_files(recorded, data_path, word_vectors)
    state = Path(tempfile.mkdtemp(prefix="lstm-text-reproduce-"))
    try:
        rerun = _run_again(config, command, state)
        items = _compare(recorded, rerun)
    finally:
        if not keep:
            shutil.rmtree(state, ignore_errors=True)
    return Reproduction(
        run_id=run_id,
        equal=all(item.equal for item in items),
        items=items,
        notes=_notes(recorded.tags, rerun.tags),
        state=str(state) if keep else None,
    )


def _check(run: PastRun) -> None:
    """Raise ModelError for a run that did not finish, or lacks what a rerun needs."""
    if run.run.info.status != "FINISHED" or "data_digest" not in run.tags:
        reason = f": {run.tags['failure_reason']}" if "failure_reason" in run.tags else ""
        message = f"Run {run.run_id} is not a training that finished; it has status {run.run.info.status}{reason}."
        raise ModelError(message, "Name a run that finished.")
    run.exact_config()
    for name, table in ((MANIFEST, run.manifest), (PREDICTIONS, run.predictions)):
        if table is None:
            raise run.lacks(name)


def _with_files(recorded: PastRun, data_path: Path | None, word_vectors: Path | None) -> PipelineConfig:
    """Return the settings with the paths of the labelled file and the word vectors; raises if one is not as then."""
    config = recorded.exact_config()
    data = _same_file(recorded, "labelled file", config.data.path, data_path, flag="--data-path", tag="data_digest")
    sections = {"data": config.data.model_copy(update={"path": data})}
    if (path := config.model.word_vectors) is not None:
        wanted = {"flag": "--word-vectors", "tag": "word_vectors_digest"}
        vectors = _same_file(recorded, "file with the word vectors", path, word_vectors, **wanted)
        sections["model"] = config.model.model_copy(update={"word_vectors": vectors})
    return config.model_copy(update=sections)


def _same_file(recorded: PastRun, what: str, path: Path, elsewhere: Path | None, *, flag: str, tag: str) -> Path:
    """Return where a file of the run is; raises if it is missing or has another SHA-256 than in the run's tag."""
    candidates = [elsewhere] if elsewhere else [path, PROJECT / path]
    found = next((path for path in candidates if find_parts(path)), None)
    if found is None:
        raise UsageError(
            f"The {what} of run {recorded.run_id} is not at {candidates[0]}.",
            f"Name it with {flag}, or start in the folder where the run was started.",
        )
    sha256, recorded_sha256 = digest_input(found), recorded.tags.get(tag)
    if sha256 != recorded_sha256:
        raise DifferenceError(
            f"{found} has SHA-256 {sha256}, but the {what} of run {recorded.run_id} had {recorded_sha256}.",
            f"Restore the file as it was then, or name a copy with {flag}.",
        )
    return found.resolve()


def _run_again(config: PipelineConfig, command: Sequence[str], state: Path) -> PastRun:
    tracking_uri = f"sqlite:///{state / 'mlflow.db'}"
    environment: dict[str, str | None] = {
        "LSTM_TEXT_STATE": str(state),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(state / "stages"),
        "PREFECT_API_URL": None,  # It starts a server for the time of the run.
        # The rerun uses this code, even if another version is installed.
        "PYTHONPATH": f"{PROJECT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep),
    }
    settings = state / "config.json"
    settings.write_text(config.model_dump_json(), encoding="utf-8")
    with interruptible(), child_process([*command, str(settings)], environment, output=2) as process:
        code = process.wait()
    if code != 0:
        message = f"The rerun stopped with {ending(code)}, for the reason above."
        raise ModelError(message, "Remove that reason, and start again.")
    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(config.registration.experiment_name)
    assert experiment is not None
    return PastRun(client.search_runs([experiment.experiment_id])[0], client)


def _compare(recorded: PastRun, rerun: PastRun) -> list[Item]:
    def tag(name: str, key: str, notes: Sequence[str] = ("", "")) -> Item:
        values = [run.tags.get(key, "not recorded") for run in (recorded, rerun)]
        shown = [value + note for value, note in zip(values, notes, strict=True)]
        return Item(name, values[0] == values[1], *shown)

    def settings(run: PastRun) -> dict[str, Any]:
        # The params, which nobody can change: an edit of config.json shows here.
        kept = run.run.data.params.items() - {(name, str(value)) for name, value in ADDED.items()}
        return {name: value for name, value in kept if name not in (*PATHS, *REMOVED)}

    def test_metrics(run: PastRun) -> dict[str, float]:
        return {name: value for name, value in run.metrics.items() if name.startswith("test_")}

    return [
        tag("data", "data_digest"),
        compare_values("settings", recorded=settings(recorded), found=settings(rerun), what="settings"),
        tag("code", "code_digest", [_commit(run.tags) for run in (recorded, rerun)]),
        tag("lock", "lock_digest"),
        compare_tables("split", recorded=recorded.manifest, found=rerun.manifest),
        compare_values("metrics", recorded=test_metrics(recorded), found=test_metrics(rerun), what="test metrics"),
        compare_tables("predictions", recorded=recorded.predictions, found=rerun.predictions),
    ]


def _commit(tags: dict[str, str]) -> str:
    if "git_commit" not in tags:
        return " (no git commit)"
    edited = " and edits" if tags.get("git_dirty") == "true" else ""
    return f" (commit {tags['git_commit'][:12]}{edited})"


def _notes(recorded: dict[str, str], here: dict[str, str]) -> list[str]:
    pairs = [(name, recorded.get(name, "not recorded"), here[name]) for name in MACHINE]
    notes = [f"{name} was {then}, here {now}" for name, then, now in pairs if then != now]
    if recorded.get("device", "CPU") != "CPU" or here["device"] != "CPU":
        notes.append("only trainings on a CPU are equal to the last bit, not those on a GPU")
    return notes
