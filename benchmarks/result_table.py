"""The benchmark's Markdown: a table for each data set, and how this project compares with the best linear model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
from contestants import LINEAR, Contestant

from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import label_metrics

COLUMNS = (
    "model", "accuracy", "macro-F1", "accuracy, fitted on validation rows too", "fit", "whole command", "peak memory",
    "training, rows/s", "prediction, rows/s", "size",
)  # fmt: skip
SUMMARY = ("data", "preset", "accuracy", "against", "its accuracy", "difference", "95% interval")
Floats = npt.NDArray[np.float64]


class Scores:
    """The labels of a file's rows, and the metrics of predicted ones."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = {split: rows.loc[rows["split"] == split, "label"].tolist() for split in set(rows["split"])}
        self.labels = sorted(set(rows["label"]))

    def ids(self, names: list[str]) -> npt.NDArray[np.int64]:
        return np.array([self.labels.index(name) for name in names], dtype=np.int64)

    def metric(self, name: str, predicted: list[str], split: str = "test") -> float:
        """Return accuracy or macro_f1."""
        ids = {"label_ids": self.ids(self.rows[split]), "predicted_ids": self.ids(predicted)}
        return float(label_metrics(**ids, labels=self.labels)[name])


def header(name: str, scores: Scores) -> str:
    counts = ", ".join(f"{len(scores.rows[split]):,} {split}" for split in ("train", "validation", "test"))
    return f"\n### {name}\n\n{counts} rows; {len(scores.labels)} classes.\n\n{line(COLUMNS)}\n{rule(COLUMNS)}"


def line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def rule(columns: tuple[str, ...], words: int = 1) -> str:
    return line(("---",) * words + ("---:",) * (len(columns) - words))


def result_line(found: Contestant, scores: Scores) -> str:
    """Return a model's line of the table; cells that do not apply are empty."""
    if not found.trainings:
        return line((found.name, found.problem, *[""] * (len(COLUMNS) - 2)))
    values = [[scores.metric(name, one.test) for one in found.trainings] for name in ("accuracy", "macro_f1")]
    both = found.problem
    if found.with_validation is not None:
        both = f"{scores.metric('accuracy', found.with_validation):.4f}"
    epochs = [one.epoch_seconds for one in found.trainings if one.epoch_seconds]
    training = f"{len(scores.rows['train']) / np.mean(epochs):,.0f}" if epochs else ""
    prediction = f"{len(scores.rows['test']) / found.mean('predict'):,.0f}"
    memory, size = f"{found.mean('memory') / 1e9:.2f} GB", f"{found.mean('size') / 1e6:,.1f} MB"
    times = [f"{found.mean(name):,.{int(found.mean(name) < 10)}f} s" for name in ("fit", "command")]
    return line((found.name, *map(_spread, values), both, *times, memory, training, prediction, size))


def _spread(values: list[float]) -> str:
    """Return the mean and, of more than one value, the smallest and largest."""
    return f"{np.mean(values):.4f}" + (f" ({min(values):.4f} to {max(values):.4f})" if len(values) > 1 else "")


def best_linear(found: list[Contestant], scores: Scores, accept: Callable[[str], bool]) -> Contestant | None:
    """Return the linear model fitted on train rows that predicts validation rows best; of equals, the first."""
    linear = [one for one in found if one.name in LINEAR and one.trainings and accept(one.name)]
    return max(
        linear, key=lambda one: scores.metric("accuracy", one.trainings[0].validation, "validation"), default=None
    )


def accuracy_differences(ours: Contestant, peer: Contestant, scores: Scores) -> Floats:
    """Return float64[R]: our accuracy, mean of the seeds, minus the peer's, in each round of a paired bootstrap."""
    predictions = {str(number): scores.ids(one.test) for number, one in enumerate(ours.trainings)}
    predictions["peer"] = scores.ids(peer.trainings[0].test)
    label_ids = scores.ids(scores.rows["test"])
    rounds = bootstrap(
        label_ids=label_ids, predictions=predictions, num_classes=len(scores.labels), resampling=Resampling()
    )
    peers = rounds.pop("peer")["accuracy"]
    return np.mean([one["accuracy"] for one in rounds.values()], axis=0) - peers


def summary(files: dict[str, tuple[Scores, list[Contestant]]]) -> str:
    """Return our presets against the linear models that validation rows choose, for each file and their mean.

    Our n-grams are fitted on validation rows too, once weighed on them, so the linear models are shown both ways.
    """
    against = {
        "of linear SVMs": lambda name: name.startswith("linear SVM"),
        "of all linear models": lambda name: True,
    }
    lines, rounds = [line(SUMMARY), rule(SUMMARY, words=2)], {}
    for data, (scores, found) in files.items():
        for kind, accept in against.items():
            peers = _peers(kind, best_linear(found, scores, accept))
            presets = [one for one in found if one.name.startswith("**") and one.trainings]
            for ours, (title, peer) in product(presets, peers.items()):
                accuracies = [
                    np.mean([scores.metric("accuracy", t.test) for t in one.trainings]) for one in (ours, peer)
                ]
                drawn = accuracy_differences(ours, peer, scores)
                rounds.setdefault((ours.name, title), []).append((accuracies, drawn))
                lines.append(_summary_line(data, ours.name, f"{peer.name} ({title})", accuracies, drawn))
    for (name, title), parts in rounds.items():
        if len(parts) > 1:
            accuracies = np.mean([accuracies for accuracies, _ in parts], axis=0)
            # The files' rounds are independent, so their mean has the interval of the mean.
            drawn = np.mean([drawn for _, drawn in parts], axis=0)
            lines.append(_summary_line(f"mean of {len(parts)}", name, f"the best {title}", accuracies, drawn))
    return "\n### Against the linear model that validation rows choose\n\n" + "\n".join(lines)


def _peers(kind: str, chosen: Contestant | None) -> dict[str, Contestant]:
    """Return the chosen model by title, as fitted on train rows and, if it has such answers, on validation rows too."""
    peers = {} if chosen is None else {kind: chosen}
    if chosen is not None and chosen.with_validation is not None:
        refitted = replace(chosen.trainings[0], test=chosen.with_validation)
        peers[f"{kind}, fitted on validation rows too"] = replace(chosen, trainings=[refitted])
    return peers


def _summary_line(data: str, preset: str, against: str, accuracies: Sequence[float], drawn: Floats) -> str:
    ours, peer = accuracies
    low, high = interval(drawn, 0.95)
    cells = (f"{ours:.4f}", against, f"{peer:.4f}", f"{ours - peer:+.4f}", f"{low:+.4f} to {high:+.4f}")
    return line((data, preset, *cells))
