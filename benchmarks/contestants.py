"""The models that the benchmark compares, this project's presets and the peers, each measured in its own process."""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from commands import TRAIN, CommandError, environment, measured

from lstm_model.classifier.classifier import Classifier

PEERS = Path(__file__).with_name("peers")
LINEAR = {
    f"{title}, {features}": ["linear.py", model, features]
    for model, title, kinds in (
        ("svc", "linear SVM", ("words", "characters", "both")),
        ("logistic", "logistic regression", ("words", "characters", "both")),
        ("nb-svm", "NB-SVM", ("words",)),
    )
    for features in kinds
}
FASTTEXT, KERAS, TORCH = "fastText", "Keras script of `article`", "PyTorch BiLSTM"
INSTALL = {FASTTEXT: "make bench-peers", TORCH: "make bench-peers TORCH=1"}


@dataclass(frozen=True)
class Trained:
    """One training and its answers."""

    test: list[str]  # Predicted labels.
    fit: float  # Seconds.
    command: float  # Seconds of the whole command: imports, reading and predicting included.
    memory: float  # Bytes; the peak of the process tree.
    predict: float  # Seconds for the test rows, from text to label.
    size: float  # Bytes on disk.
    validation: list[str] = field(default_factory=list)
    epoch_seconds: float | None = None


@dataclass(frozen=True)
class Contestant:
    """The trainings of a model, one for each seed, or why there is none."""

    name: str
    trainings: list[Trained] = field(default_factory=list)
    problem: str = ""
    with_validation: list[str] | None = None  # Predicted labels of test rows after fitting on validation rows too.

    def mean(self, figure: str) -> float:
        return fmean(getattr(training, figure) for training in self.trainings)


def train_preset(folder: Path, preset: str, *, seeds: list[int], flags: list[str], texts: list[str]) -> Contestant:
    """Train a preset with each seed, with an empty state folder, so that nothing is cached."""
    name, trainings = f"**lstm-text `{preset}`**", []
    for seed in seeds:
        data = ["--data.path", str(folder / "rows.parquet"), "--data.split-column", "split"]
        command = [*TRAIN, "--preset", preset, *data, "--training.seed", str(seed), *flags]
        with tempfile.TemporaryDirectory(prefix="bench-state-") as state:
            try:
                seconds, memory, answer = measured(command, environment(state))
                trainings.append(_read_training(Path(state), answer, texts, command=seconds, memory=memory))
            except (CommandError, LookupError, OSError, ValueError, sqlite3.Error) as error:
                return Contestant(name, problem=f"failed: {_last_line(error)}")
    return Contestant(name, trainings)


def _read_training(state: Path, answer: dict[str, Any], texts: list[str], **measures: float) -> Trained:
    """Load the registered model and let it answer the test rows."""
    [folder] = (state / "artifacts" / "models").glob("*/artifacts/artifacts/classifier")
    classifier = Classifier.load(folder)
    started = time.perf_counter()
    test = [classifier.labels[place] for place in classifier.predict_probabilities(texts).argmax(axis=1)]
    predict = time.perf_counter() - started
    # The server does not read the Keras file.
    size = sum(file.stat().st_size for file in folder.iterdir() if file.suffix != ".keras")
    query = "SELECT timestamp / 1000.0 FROM metrics WHERE run_uuid = ? AND key = 'validation_log_loss' ORDER BY step"
    with sqlite3.connect(state / "mlflow.db") as database:
        ends = [end for (end,) in database.execute(query, [answer["run_id"]])]
    fit = fit_seconds(answer["seconds"])
    epoch = epoch_seconds(ends, fit=answer["seconds"]["train_model"])
    return Trained(test=test, fit=fit, predict=predict, size=size, epoch_seconds=epoch, **measures)


def fit_seconds(stages: dict[str, float]) -> float:
    """Return the seconds from tokenizing to exporting. N-grams are fitted beside the network; the export needs both."""
    network = stages["tokenize_and_pad"] + stages["train_model"]
    return max(network, stages["fit_ngram_models"]) + stages["export_classifier"]


def epoch_seconds(ends: list[float], *, fit: float) -> float | None:
    """Return the mean seconds of an epoch, its validation included, without the first, which also pays for set-up."""
    if len(ends) > 1 and ends[-1] > ends[0]:
        return (ends[-1] - ends[0]) / (len(ends) - 1)
    return fit / len(ends) if ends else None


def run_peer(name: str, arguments: list[str], folder: Path, python: str = sys.executable) -> Contestant:
    """Run a peer's script once."""
    script, *rest = arguments
    try:
        seconds, memory, answer = measured([python, str(PEERS / script), str(folder), *rest], environment(folder))
    except (CommandError, FileNotFoundError) as error:
        missing = isinstance(error, FileNotFoundError) or "ModuleNotFoundError" in str(error)
        return Contestant(name, problem=f"not run: `{INSTALL[name]}`" if missing else f"failed: {_last_line(error)}")
    ends = answer.pop("epoch_ends", [])
    epoch = epoch_seconds(ends, fit=answer["fit"])
    size = answer.pop("bytes")
    return Contestant(name, [Trained(command=seconds, memory=memory, epoch_seconds=epoch, size=size, **answer)])


def run_linear(folder: Path) -> Iterator[Contestant]:
    """Fit each linear model on train and validation rows, two at once; then on train rows, one by one, measured."""
    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(run_peer, name, [*given, "--with-validation"], folder) for name, given in LINEAR.items()]
    for (name, given), fit in zip(LINEAR.items(), fits, strict=True):
        found, other = run_peer(name, given, folder), fit.result()
        if found.trainings:
            found = replace(found, problem=other.problem)
        if other.trainings:
            found = replace(found, with_validation=other.trainings[0].test)
        yield found


def _last_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[-1][:200].replace("|", "/")
