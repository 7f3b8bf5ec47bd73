"""Encoded rows -> a trained network, checkpointed after each epoch, its curves in MLflow as they grow."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import get_run_logger

from lstm_model.config import ModelConfig, TrainingConfig
from lstm_model.encoded import EncodedRows
from lstm_model.figures import plot_curves
from tasks import tracking
from tasks.publishing import Progress, markdown_table, publish_markdown
from tasks.stages import StageRecord, read_json, stage, write_json
from tasks.tracking import Run


def log_training(record: StageRecord, run: Run) -> dict[str, float]:
    """Log curves and the best epoch's figures, and return the latter."""
    history = read_json(record.file("history.json"))
    epochs, best_epoch = history["epochs"], history["best_epoch"]
    tracking.log_curves(run, epochs)
    best: dict[str, float] = epochs[best_epoch - 1]
    tracking.log_metrics(run, {"best_epoch": best_epoch, "epochs": len(epochs)})
    tracking.log_metrics(run, {f"best_{name}": figure for name, figure in best.items()})
    tracking.log_metrics(run, {"parameters": record.facts["parameters"]})
    return best


def _report(record: StageRecord, run: Run) -> None:
    log_training(record, run)
    history = read_json(record.file("history.json"))
    epochs, best_epoch = history["epochs"], history["best_epoch"]
    tracking.log_figure(run, plot_curves(epochs, best_epoch), "curves")
    rows = [[epoch, *figures.values()] for epoch, figures in enumerate(epochs, start=1)]
    publish_markdown(
        "training",
        f"{record.facts['parameters']:,} parameters; best epoch {best_epoch} of {len(epochs)}.\n\n"
        + markdown_table(["epoch", *(name.replace("_", " ") for name in epochs[0])], rows),
        "Figures after each epoch",
    )


@stage("trained", report=_report)
def train_model(
    folder: Path, encoded: StageRecord, model: ModelConfig, training: TrainingConfig, run: Run
) -> dict[str, Any]:
    """Fit the network, stop early on validation rows and restore the best weights; write network.keras."""
    rows = encoded.facts["parts"]["train"]["rows"]
    progress = Progress("training-progress", "training", total=rows * training.epochs, unit="rows")
    logger = get_run_logger()

    def on_batch(epoch: int, done: int, total: int) -> None:
        progress.set(int(rows * (epoch - 1 + done / total)), what=f"training, epoch {epoch} of {training.epochs}")

    def on_epoch(epoch: int, figures: dict[str, float]) -> None:
        tracking.log_curves_epoch(run, epoch, figures)
        logger.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))

    facts = fit_network(folder, encoded, model, training, on_batch=on_batch, on_epoch=on_epoch)
    progress.close(f"trained {facts['epochs']} epochs, the best was {facts['best_epoch']}")
    return facts


def fit_network(
    folder: Path, encoded: StageRecord, model: ModelConfig, training: TrainingConfig, **listeners: Callable[..., None]
) -> dict[str, Any]:
    """Write network.keras and history.json and return the stage's facts; listeners are those of `train_network`."""
    # Imported here: TensorFlow takes 4 s that a cached stage does not need.
    from lstm_model.network import build_network
    from lstm_model.training import train_network

    train, validation = (EncodedRows.load(encoded.file(f"{name}.npz")) for name in ("train", "validation"))
    network = build_network(
        model,
        vocab_size=encoded.facts["vocab_size"],
        num_classes=len(encoded.facts["labels"]),
        seed=training.seed,
    )
    checkpoint = checkpoint_folder(folder)
    history = train_network(network, train, validation, training, checkpoint=checkpoint, **listeners)
    network.save(folder / "network.keras", include_optimizer=False)
    write_json(folder / "history.json", {"epochs": history.epochs, "best_epoch": history.best_epoch})
    shutil.rmtree(checkpoint, ignore_errors=True)
    return {"parameters": network.count_params(), "best_epoch": history.best_epoch, "epochs": len(history.epochs)}


def checkpoint_folder(folder: Path) -> Path:
    """Return where the state after each epoch is kept until the stage's folder is done."""
    return folder.with_name(f"{folder.name}.checkpoint")
