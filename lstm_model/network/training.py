"""Training: seeded per (seed, epoch), early stopping on validation, best weights restored. Loads TensorFlow.

An interrupted training continues after its last finished epoch and ends with the same weights as an uninterrupted one
(on a GPU with `device.use_repeatable_kernels`), because order and dropout depend only on (seed, epoch).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from lstm_model.arrays import Bool, Float32, Int32, Int64
from lstm_model.classifier.classifier import softmax
from lstm_model.config.training import TrainingConfig
from lstm_model.evaluation.metrics import log_loss, macro_f1
from lstm_model.network.lstm_loop import fast_lstm
from lstm_model.network.optimizer import Optimizer
from lstm_model.tokens.encoded_rows import EncodedRows, length_batches, pad_batch

BUCKET_BATCHES = 50  # Rows are sorted by length within pools of this many batches: little padding, random order.
PREDICT_BATCH, PREDICT_TOKENS = 512, 65_536

OnBatch = Callable[[int, int, int], None]
OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass
class History:
    epochs: list[dict[str, float]] = field(default_factory=list)  # The metrics of each.
    best_epoch: int = 0  # Counted from 1.

    def since_best(self) -> int:
        return len(self.epochs) - self.best_epoch

    def add(self, metrics: dict[str, float], monitor: str) -> bool:
        """Record an epoch and return whether it is the best so far."""
        self.epochs.append(metrics)
        figures = [epoch[f"validation_{monitor}"] for epoch in self.epochs]
        self.best_epoch = 1 + figures.index(min(figures) if monitor == "log_loss" else max(figures))
        return self.since_best() == 0


def train_network(
    network: keras.Model,
    train: EncodedRows,
    validation: EncodedRows,
    config: TrainingConfig,
    *,
    frozen_rows: Bool | None = None,
    checkpoint: Path | None = None,
    on_batch: OnBatch = lambda epoch, done, total: None,
    on_epoch: OnEpoch = lambda epoch, metrics: None,
) -> History:
    """Fit `network` in place, leave it with the weights of its best epoch and return the history.

    frozen_rows: bool[V], the embedding's rows that stay as they are; None trains all.
    checkpoint: a folder for the state after each epoch; an existing one is continued.
    on_batch gets epoch, batches done and all batches; on_epoch the epoch (from 1) and its metrics (train_loss,
    train_accuracy, validation_log_loss, validation_accuracy, validation_macro_f1), also of epochs in the checkpoint.
    """
    table = network.get_layer("embedding").embeddings
    initial = table.numpy() if frozen_rows is not None else None
    steps = -(-len(train) // batch_size(len(train), config))
    # Averaged weights generalize better and need no schedule (Izmailov et al. 2018, "Averaging weights leads to wider
    # optima"). The horizon of the average is set in epochs, to suit small and large data.
    momentum = 1 - 1 / max(config.average_epochs * steps, 1)
    rate, clip_norm = config.learning_rate, config.gradient_clip_norm
    optimizer = Optimizer(network, rate=rate, clip_norm=clip_norm, momentum=momentum, frozen_rows=frozen_rows)
    history, best_weights = _restore(network, optimizer, checkpoint)
    for epoch, metrics in enumerate(history.epochs, start=1):
        on_epoch(epoch, metrics)
    weights = class_weights(train.label_ids, network.output_shape[-1], config.class_weights)
    step = _Step(network, optimizer, adversarial=adversarial(len(train), config))
    for epoch in range(len(history.epochs) + 1, config.epochs + 1):
        if history.since_best() >= patience(len(train), config):
            break
        with threadpool_limits(1, "blas"):  # The matrices of fast_lstm are too small for two threads.
            metrics = _train_epoch(step, train, weights, config, epoch, on_batch)
        with optimizer.averaged():
            metrics |= _validate(network, validation)
            if history.add(metrics, config.monitor):
                best_weights = network.get_weights()
        if checkpoint:
            _save(network, optimizer, best_weights, history, checkpoint)
        on_epoch(epoch, metrics)
    network.set_weights(best_weights)
    if frozen_rows is not None:  # The average of equal values may differ from them in the last bit.
        table.assign(np.where(frozen_rows[:, None], initial, table))
    return history


def class_weights(label_ids: Int32, num_classes: int, kind: str) -> Float32:
    """Return float32[C]: ones, or rows / (classes * rows of the class), with mean 1 over the rows."""
    if kind == "none":
        return np.ones(num_classes, dtype=np.float32)
    counts = np.bincount(label_ids, minlength=num_classes)
    return (len(label_ids) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def predict_logits(network: keras.Model, rows: EncodedRows) -> Float32:
    """Return float32[N, C], in the order of the rows."""
    network.jit_compile = False  # On a GPU, Keras would compile a relu network again for each shape.
    logits = np.zeros((len(rows), network.output_shape[-1]), dtype=np.float32)
    for batch in length_batches(rows.lengths, PREDICT_BATCH, max_tokens=PREDICT_TOKENS):
        logits[batch] = network.predict_on_batch(pad_batch(rows.token_ids, rows.offsets, batch))
    return logits


def reseed(network: keras.Model, seed: int, epoch: int) -> None:
    """Seed every dropout's generator by (seed, epoch, layer), so that earlier epochs do not matter."""
    for number, layer in enumerate(network._flatten_layers()):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, epoch, number]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))


def batch_size(rows: int, config: TrainingConfig) -> int:
    """Return the configured size, or for 0 the power of two between 32 and 512 that is nearest to rows / 300."""
    return config.batch_size or 2 ** int(np.clip(round(np.log2(max(rows, 1) / 300)), 5, 9))


def patience(rows: int, config: TrainingConfig) -> int:
    """Return the configured epochs, or for 0: 2 from 10,000 rows on, 3 below, where epochs are short and noisy."""
    return config.patience or (2 if rows >= 10_000 else 3)


def adversarial(rows: int, config: TrainingConfig) -> float:
    """Return the configured length, or for None: 1 below 10,000 rows, where the doubled time is short, 0 from there."""
    return config.adversarial if config.adversarial is not None else float(rows < 10_000)


class _Step:
    """A training step as a graph for any batch; loss and hits of the epoch are summed in it and read once."""

    def __init__(self, network: keras.Model, optimizer: Optimizer, *, adversarial: float = 0.0) -> None:
        self.network, self.optimizer, self.adversarial = network, optimizer, adversarial
        self.sums = tf.Variable(tf.zeros(2, tf.float64))
        shapes = (((None, None), tf.int32), ((None,), tf.int32), ((None,), tf.float32))
        run = tf.function(self._run, autograph=False, input_signature=[tf.TensorSpec(*shape) for shape in shapes])
        with fast_lstm(network):
            self.run = run.get_concrete_function()

    def _run(self, token_ids: Any, label_ids: Any, weights: Any) -> None:
        answers = []

        def loss() -> Any:
            logits = self.network(token_ids, training=True)
            losses = weights * tf.nn.sparse_softmax_cross_entropy_with_logits(label_ids, logits)
            answers.append((losses, logits))
            return tf.reduce_mean(losses)

        self.optimizer.minimize(loss, adversarial=self.adversarial)
        losses, logits = answers[0]
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == label_ids, tf.float64))
        self.sums.assign_add(tf.stack([tf.cast(tf.reduce_sum(losses), tf.float64), hits]))


def _train_epoch(
    step: _Step, rows: EncodedRows, weights: Float32, config: TrainingConfig, epoch: int, on_batch: OnBatch
) -> dict[str, float]:
    """Fit one epoch; return its metrics."""
    reseed(step.network, config.seed, epoch)
    order = epoch_batches(rows.lengths, batch_size(len(rows), config), seed=config.seed, epoch=epoch)
    step.sums.assign([0, 0])
    for done, batch in enumerate(order, start=1):
        label_ids = rows.label_ids[batch]
        token_ids = pad_batch(rows.token_ids, rows.offsets, batch)
        step.run(tf.constant(token_ids), tf.constant(label_ids), tf.constant(weights[label_ids]))
        on_batch(epoch, done, len(order))
    step.optimizer.catch_up()
    loss, hits = step.sums.numpy() / len(rows)
    return {"train_loss": float(loss), "train_accuracy": float(hits)}


def epoch_batches(lengths: Int64, batch_size: int, *, seed: int, epoch: int) -> list[Int64]:
    """Return the rows of each batch, random by (seed, epoch): batches of similar length from random pools of rows."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    pool = batch_size * BUCKET_BATCHES
    pools = [order[first : first + pool] for first in range(0, len(order), pool)]
    batches = [part[batch] for part in pools for batch in length_batches(lengths[part], batch_size)]
    return [batches[place] for place in rng.permutation(len(batches))]


def _validate(network: keras.Model, rows: EncodedRows) -> dict[str, float]:
    logits, label_ids = predict_logits(network, rows), rows.label_ids
    predicted_ids = logits.argmax(axis=1)
    return {
        "validation_log_loss": log_loss(label_ids=label_ids, probabilities=softmax(logits)),
        "validation_accuracy": float((predicted_ids == label_ids).mean()),
        "validation_macro_f1": macro_f1(label_ids=label_ids, predicted_ids=predicted_ids, num_classes=logits.shape[1]),
    }


def _save(network: keras.Model, optimizer: Optimizer, best_weights: list[Any], history: History, folder: Path) -> None:
    """Write the state next to the folder, then rename it into place."""
    new, old = (folder.with_name(f"{folder.name}.{suffix}") for suffix in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    variables = [variable.numpy() for variable in optimizer.variables]
    parts = {"weight": network.get_weights(), "best": best_weights, "optimizer": variables}
    state = {f"{name}_{i}": value for name, values in parts.items() for i, value in enumerate(values)}
    np.savez(new / "state.npz", **state)
    (new / "history.json").write_text(json.dumps(asdict(history)))
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _restore(network: keras.Model, optimizer: Optimizer, folder: Path | None) -> tuple[History, list[Any]]:
    """Load the state of a checkpoint into the network; return its history and best weights."""
    weights = network.get_weights()
    old = folder and folder.with_name(f"{folder.name}.old")
    if folder and old and old.exists() and not folder.exists():  # Killed between the two renames of _save.
        old.rename(folder)
    if not folder or not folder.exists():
        return History(), weights
    with np.load(folder / "state.npz", allow_pickle=False) as state:
        network.set_weights([state[f"weight_{i}"] for i in range(len(weights))])
        optimizer.restore([state[f"optimizer_{i}"] for i in range(len(optimizer.variables))])
        best = [state[f"best_{i}"] for i in range(len(weights))]
    return History(**json.loads((folder / "history.json").read_text())), best
