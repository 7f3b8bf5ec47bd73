"""Fitting the network: seeded per (seed, epoch), stopped early on validation, best weights restored. Loads TensorFlow.

An interrupted training goes on from its last finished epoch and ends with the very weights of one that was not
interrupted (on CPU): order and dropout depend on (seed, epoch) alone, and the checkpoint holds weights, optimizer,
history and the best weights so far.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lstm_model.classifier.classifier import softmax
from lstm_model.config.training import TrainingConfig
from lstm_model.evaluation.metrics import log_loss, macro_f1
from lstm_model.tokens.batches import length_batches, pad_batch
from lstm_model.tokens.encoded_rows import EncodedRows
from lstm_model.tokens.text_encoder import Int32, Int64

BUCKET_BATCHES = 50  # Rows are sorted by length within pools of this many batches: little padding, random batches.
PREDICT_BATCH = 512
PREDICT_TOKENS = 65_536


@dataclass
class History:
    """What was measured after each epoch, and which epoch (from 1) was best so far."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    def since_best(self) -> int:
        return len(self.epochs) - self.best_epoch

    def add(self, figures: dict[str, float], monitor: str) -> bool:
        """Record an epoch and return whether it is the best so far."""
        key = f"validation_{monitor}"
        sign = 1 if monitor == "log_loss" else -1
        best = not self.epochs or sign * figures[key] < sign * self.epochs[self.best_epoch - 1][key]
        self.epochs.append(figures)
        if best:
            self.best_epoch = len(self.epochs)
        return best


OnBatch = Callable[[int, int, int], None]
OnEpoch = Callable[[int, dict[str, float]], None]


def train_network(
    network: keras.Model,
    train: EncodedRows,
    validation: EncodedRows,
    config: TrainingConfig,
    *,
    checkpoint: Path | None = None,
    on_batch: OnBatch = lambda epoch, done, total: None,
    on_epoch: OnEpoch = lambda epoch, figures: None,
) -> History:
    """Fit `network` in place, leave it with the weights of its best epoch and return the history.

    checkpoint: a folder that receives the state after each epoch and is continued from if it holds one.
    on_batch is told epoch, batches done and batches in all; on_epoch the epoch (from 1) and its figures
    (train_loss, train_accuracy, validation_log_loss, validation_accuracy, validation_macro_f1), continued epochs too.
    """
    _compile(network, config, steps=-(-len(train) // config.batch_size))
    history, best_weights = _restore(network, checkpoint)
    for epoch, figures in enumerate(history.epochs, start=1):
        on_epoch(epoch, figures)
    weights = class_weights(train.label_ids, network.output_shape[-1], config.class_weights)
    for epoch in range(len(history.epochs) + 1, config.epochs + 1):
        if history.since_best() >= config.patience and history.epochs:
            break
        figures, fitted = _train_epoch(network, train, weights, config, epoch, on_batch)
        figures |= _validate(network, validation)
        if history.add(figures, config.monitor):
            best_weights = network.get_weights()
        network.set_weights(fitted)  # Judged and kept is the average; training goes on from where it was.
        _checkpoint(network, best_weights, history, checkpoint)
        on_epoch(epoch, figures)
    network.set_weights(best_weights)
    return history


def class_weights(label_ids: Int32, num_classes: int, kind: str) -> npt.NDArray[np.float32]:
    """Return float32[C]: ones, or rows / (classes * rows of the class), which averages 1 over the rows."""
    if kind == "none":
        return np.ones(num_classes, dtype=np.float32)
    counts = np.bincount(label_ids, minlength=num_classes)
    return (len(label_ids) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def predict_logits(network: keras.Model, rows: EncodedRows) -> npt.NDArray[np.float32]:
    """Return float32[N, C], in the order of the rows; batches hold rows of similar length."""
    logits = np.zeros((len(rows), network.output_shape[-1]), dtype=np.float32)
    for batch in length_batches(rows.lengths, PREDICT_BATCH, max_tokens=PREDICT_TOKENS):
        logits[batch] = network.predict_on_batch(pad_batch(rows.token_ids, rows.offsets, batch))
    return logits


def reseed(network: keras.Model, seed: int, epoch: int) -> None:
    """Set every dropout's generator from (seed, epoch, layer), so that an epoch is the same whatever came before."""
    for number, layer in enumerate(network._flatten_layers()):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, epoch, number]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))


def _compile(network: keras.Model, config: TrainingConfig, *, steps: int) -> None:
    # Averaged weights generalize better and need no schedule (Izmailov et al. 2018, "Averaging weights leads to wider
    # optima"); the average's memory is given in epochs, so that it fits small and large data alike.
    horizon = config.average_epochs * steps
    optimizer = keras.optimizers.Adam(
        config.learning_rate,
        global_clipnorm=config.gradient_clip_norm or None,
        use_ema=horizon > 1,
        ema_momentum=1 - 1 / max(horizon, 1),
    )
    network.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # Compiling for each batch shape costs more than it saves at this size on CPU.
    )
    optimizer.build(network.trainable_variables)


def _train_epoch(
    network: keras.Model,
    rows: EncodedRows,
    weights: npt.NDArray[np.float32],
    config: TrainingConfig,
    epoch: int,
    on_batch: OnBatch,
) -> tuple[dict[str, float], list[Any]]:
    """Fit one epoch; return its figures and the fitted weights. The network is left with their running average."""
    reseed(network, config.seed, epoch)
    order = epoch_batches(rows.lengths, config.batch_size, seed=config.seed, epoch=epoch)

    def batches() -> Iterator[tuple[Any, Any, Any]]:
        for batch in order:
            label_ids = rows.label_ids[batch]
            yield pad_batch(rows.token_ids, rows.offsets, batch), label_ids, weights[label_ids]

    dataset = tf.data.Dataset.from_generator(
        batches,
        output_signature=(
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.float32),
        ),
    ).apply(tf.data.experimental.assert_cardinality(len(order)))
    fitted: list[Any] = []
    report = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda b, logs: on_batch(epoch, b + 1, len(order)),
        # When fit ends, Keras replaces the weights by their average.
        on_epoch_end=lambda e, logs: fitted.extend(network.get_weights()),
    )
    logs = network.fit(dataset.prefetch(4), epochs=1, shuffle=False, verbose=0, callbacks=[report]).history
    return {"train_loss": float(logs["loss"][0]), "train_accuracy": float(logs["accuracy"][0])}, fitted


def epoch_batches(lengths: Int64, batch_size: int, *, seed: int, epoch: int) -> list[Int64]:
    """Return the rows of each batch of an epoch, decided by (seed, epoch): random pools, sorted by length inside."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    pool = batch_size * BUCKET_BATCHES
    batches: list[Int64] = []
    for first in range(0, len(order), pool):
        part = order[first : first + pool]
        batches += [part[batch] for batch in length_batches(lengths[part], batch_size)]
    return [batches[place] for place in rng.permutation(len(batches))]


def _validate(network: keras.Model, rows: EncodedRows) -> dict[str, float]:
    logits = predict_logits(network, rows)
    predicted_ids, num_classes = logits.argmax(axis=1), logits.shape[1]
    return {
        "validation_log_loss": log_loss(label_ids=rows.label_ids, probabilities=softmax(logits)),
        "validation_accuracy": float((predicted_ids == rows.label_ids).mean()),
        "validation_macro_f1": macro_f1(label_ids=rows.label_ids, predicted_ids=predicted_ids, num_classes=num_classes),
    }


def _checkpoint(network: keras.Model, best_weights: list[Any], history: History, folder: Path | None) -> None:
    """Write the state beside the folder, then put it in place with one rename."""
    if folder is None:
        return
    new, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    state = {f"weight_{i}": value for i, value in enumerate(network.get_weights())}
    state |= {f"best_{i}": value for i, value in enumerate(best_weights)}
    state |= {f"optimizer_{i}": variable.numpy() for i, variable in enumerate(network.optimizer.variables)}
    np.savez(new / "state.npz", **state)
    (new / "history.json").write_text(json.dumps(asdict(history)))
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _restore(network: keras.Model, folder: Path | None) -> tuple[History, list[Any]]:
    if folder is None:
        return History(), network.get_weights()
    old = folder.with_name(f"{folder.name}.old")
    if not folder.exists() and old.exists():  # Killed between the two renames of _checkpoint.
        old.rename(folder)
    if not folder.exists():
        return History(), network.get_weights()
    with np.load(folder / "state.npz", allow_pickle=False) as state:
        count = len(network.get_weights())
        network.set_weights([state[f"weight_{i}"] for i in range(count)])
        for i, variable in enumerate(network.optimizer.variables):
            variable.assign(state[f"optimizer_{i}"])
        best = [state[f"best_{i}"] for i in range(count)]
    saved = json.loads((folder / "history.json").read_text())
    return History(**saved), best
