"""Encoded rows -> a trained network, with a checkpoint and the metrics in MLflow after each epoch."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from tokenizers import Tokenizer

from lstm_model.config.model import ModelConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.data.reading import unchanged_file
from lstm_model.digests import digest_file
from lstm_model.pages.plots import plot_curves
from lstm_model.tokens.encoded_rows import EncodedRows
from lstm_model.tokens.word_vectors import WordVectors, check_word_vectors, read_word_vectors
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import StageRecord, read_json, stage, write_json
from tasks.runtime.tracking import Run, log_curves, log_file, log_metrics, set_tags

EPOCH = (
    "  Epoch {epoch}: train loss {train_loss:.4f}; validation log loss {validation_log_loss:.4f}, "
    "accuracy {validation_accuracy:.4f}, macro f1 {validation_macro_f1:.4f} ({progress})"
)


def log_training(record: StageRecord, run: Run) -> dict[str, float]:
    """Log the curves and the best epoch's metrics, and return the latter."""
    facts, epochs = record.facts, read_json(record.file("history.json"))["epochs"]
    log_curves(run, dict(enumerate(epochs, start=1)))
    best: dict[str, float] = epochs[facts["best_epoch"] - 1]
    metrics = {name: facts[name] for name in ("best_epoch", "epochs", "parameters")}
    metrics |= {f"best_{name}": value for name, value in best.items()}
    set_tags(run, {"device": facts["device"]})
    if taken := facts["warm_start"]:
        metrics |= {"warm_start.tokens": taken["tokens"], "warm_start.layers": len(taken["layers"])}
    if vectors := facts["word_vectors"]:
        metrics |= {f"word_vectors.{name}": vectors[name] for name in ("vocabulary_share", "token_share")}
        set_tags(run, {"word_vectors_digest": vectors["sha256"]})
    log_metrics(run, metrics)
    return best


def _report(record: StageRecord, run: Run) -> str:
    log_training(record, run)
    log_file(run, record.file("curves.png"), "figures")
    facts = record.facts
    return f"epoch {facts['best_epoch']} of {facts['epochs']} was the best; {facts['parameters']:,} parameters"


def _check_vectors(model: ModelConfig, **others: Any) -> None:
    if model.word_vectors:  # Its contents are in the digest of `model`.
        check_word_vectors(model.word_vectors, embedding_dim=model.embedding_dim)


@stage("trained", report=_report, reads=_check_vectors)
def train_model(
    folder: Path,
    encoded: StageRecord,
    start: RegisteredClassifier | None,
    model: ModelConfig,
    training: TrainingConfig,
    run: Run,
) -> dict[str, Any]:
    """Fit the network, stop early on validation rows and restore the best weights; write network.keras.

    start: the registered version whose weights it starts from, where the two have parts in common.
    """
    from lstm_model.network.training import History

    rows = encoded.facts["parts"]["train"]["rows"]
    progress = Progress("training-progress", "training", total=rows * training.epochs, unit="rows", bound="at most")
    history, most = History(), training.for_rows(rows).patience

    def on_batch(epoch: int, done: int, total: int) -> None:
        what = f"training, epoch {epoch} of at most {training.epochs}"
        progress.set(int(rows * (epoch - 1 + done / total)), what=what)

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        log_curves(run, {epoch: metrics})
        best = history.add(metrics, training.monitor)
        waited = f"{history.since_best()} of {most} epochs without a better {training.monitor.replace('_', ' ')}"
        described = EPOCH.format(epoch=epoch, progress="the best so far" if best else waited, **metrics)
        get_run_logger().info("%s", described)

    checkpoint = checkpoint_folder(folder)
    if checkpoint.exists() and checkpoint.stat().st_mtime < run.stages_since:
        shutil.rmtree(checkpoint)
    listeners = {"on_batch": on_batch, "on_epoch": on_epoch}
    facts = fit_network(folder, encoded, start, model, training, sha256_of=run.sha256_of, **listeners)
    progress.close()
    return facts


def fit_network(
    folder: Path,
    encoded: StageRecord,
    start: RegisteredClassifier | None,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    sha256_of: Callable[[Path], str] = digest_file,
    **listeners: Callable[..., None],
) -> dict[str, Any]:
    """Write network.keras, history.json and curves.png; return the stage's facts.

    sha256_of: returns what model.word_vectors must have. listeners: of `train_network`.
    """
    # Imported here: TensorFlow takes 4 s, and a cached stage does not need it.
    from lstm_model.network.device import device_name, use_repeatable_kernels
    from lstm_model.network.network import build_network
    from lstm_model.network.training import train_network

    train, validation = (EncodedRows.load(encoded.folder, name) for name in ("train", "validation"))
    vocab_size, num_classes = encoded.facts["vocab_size"], len(encoded.facts["labels"])
    use_repeatable_kernels()
    network = build_network(model, vocab_size=vocab_size, num_classes=num_classes, seed=training.seed)
    vectors, coverage = _read_vectors(model, encoded, train, seed=training.seed, sha256_of=sha256_of)
    if vectors:
        network.get_layer("embedding").set_weights([vectors.rows])
    taken = _take_over(network, start, encoded) if start is not None else None
    frozen_rows = vectors.matched if vectors and not model.tune_word_vectors else None
    checkpoint = checkpoint_folder(folder)
    history = train_network(
        network, train, validation, training, frozen_rows=frozen_rows, checkpoint=checkpoint, **listeners
    )
    network.save(folder / "network.keras", include_optimizer=False)
    write_json(folder / "history.json", {"epochs": history.epochs, "best_epoch": history.best_epoch})
    # Drawn here, not in the report, which also runs when the stage is cached.
    plot_curves(history.epochs, history.best_epoch).savefig(folder / "curves.png")
    shutil.rmtree(checkpoint, ignore_errors=True)
    return {
        "device": device_name(),
        "parameters": network.count_params(),
        "best_epoch": history.best_epoch,
        "epochs": len(history.epochs),
        "warm_start": taken,
        "word_vectors": coverage,
    }


def checkpoint_folder(folder: Path) -> Path:
    """Return the folder of the state after each epoch, which is removed when the stage is done."""
    return folder.with_name(f"{folder.name}.checkpoint")


def _read_vectors(
    model: ModelConfig, encoded: StageRecord, train: EncodedRows, *, seed: int, sha256_of: Callable[[Path], str]
) -> tuple[WordVectors | None, dict[str, Any] | None]:
    """Return the rows of model.word_vectors, and their coverage with the SHA-256 of the file."""
    if (path := model.word_vectors) is None:
        return None, None
    tokenizer = Tokenizer.from_file(str(encoded.file("tokenizer.json")))
    sha256 = sha256_of(path)
    with unchanged_file(path, sha256):
        vectors = read_word_vectors(path, tokenizer, embedding_dim=model.embedding_dim, seed=seed)
    coverage = {"vocabulary_share": vectors.vocabulary_share, "token_share": vectors.token_share(train.token_ids)}
    get_run_logger().info(
        "%s has vectors for %d words of the vocabulary (%.1f%%), which are %.1f%% of the tokens in train rows.",
        path.name, vectors.matched.sum(), *(100 * share for share in coverage.values()),
    )  # fmt: skip
    return vectors, {**coverage, "sha256": sha256}


def _take_over(network: Any, start: RegisteredClassifier, encoded: StageRecord) -> dict[str, Any]:
    """Copy the version's weights to the network; return the version and the tokens and layers that were copied."""
    import keras

    from lstm_model.network.warm_start import take_over

    folders = (encoded.folder, start.folder)
    vocabs = [Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab() for folder in folders]
    tokens, layers = take_over(
        network,
        keras.saving.load_model(start.folder / "model.keras", compile=False),
        vocab=vocabs[0],
        donor_vocab=vocabs[1],
        labels=encoded.facts["labels"],
        donor_labels=read_json(start.folder / "classifier.json")["labels"],
    )
    get_run_logger().info("Training starts from version %s: %d tokens, layers %s.", start.version, tokens, layers)
    return {"version": start.version, "tokens": tokens, "layers": layers}
