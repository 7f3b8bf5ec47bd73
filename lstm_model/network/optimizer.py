"""Adam and a running average of the weights that touch only the embedding rows of a batch. Loads TensorFlow.

A batch holds a few hundred of 20,000 tokens. Dense updates of the table and its average took most of a step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lstm_model.arrays import Bool

B1, B2, EPSILON = 0.9, 0.999, 1e-7  # As keras.optimizers.Adam.
RATIO = B1 / B2**0.5


class Optimizer:
    """Updates a network as keras.optimizers.Adam with `global_clipnorm` and `use_ema` does; the embedding by rows.

    Without a gradient, Adam still moves a row by its momentum: in step k by rate * m / sqrt(v) * RATIO**k. The sum of
    that geometric series is added when the row is next read (`minimize`) or all are (`catch_up`), and the decay of
    moments and average likewise. Left out, accuracy falls by 2 points. Approximate: one bias correction holds for
    all missed steps, and epsilon decays with sqrt(v).
    """

    def __init__(
        self, network: keras.Model, *, rate: float, clip_norm: float, momentum: float, frozen_rows: Bool | None = None
    ) -> None:
        """momentum: of the running average; 0 for none. frozen_rows: bool[V], rows that stay as they are."""
        self.rate, self.clip_norm, self.momentum = rate, clip_norm, momentum
        self.embedding = network.get_layer("embedding")
        self.table: Any = self.embedding.embeddings.value
        self.dense = [variable.value for variable in network.trainable_variables if variable.value is not self.table]
        self.trained = None if frozen_rows is None else tf.constant((~frozen_rows).astype(np.float32))
        self.step = tf.Variable(0, dtype=tf.int64)  # A GPU cannot gather or scatter int32.
        flat = self._flat(self.dense)
        self.state = [tf.Variable(tf.zeros_like(flat)), tf.Variable(tf.zeros_like(flat)), tf.Variable(flat)]
        self.rows = [tf.Variable(tf.zeros_like(self.table)) for _ in range(2)] + [tf.Variable(self.table)]
        self.last = tf.Variable(tf.zeros(self.table.shape[0], tf.int64))  # Step up to which a row is updated.

    @property
    def variables(self) -> list[Any]:
        """The state that a checkpoint needs after `catch_up`."""
        return [self.step, *self.state, *self.rows]

    def restore(self, values: list[npt.NDArray[Any]]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        self.last.assign(tf.fill(self.last.shape, self.step))

    def minimize(self, loss: Callable[[], Any], *, adversarial: float = 0.0) -> None:
        """Make one step, as part of a traced function; `loss` runs the network and returns a scalar.

        adversarial: above 0, the step also lowers the loss of the same texts after their word vectors have moved up the
        slope, by this many mean vector lengths for each text (Miyato, Dai, Goodfellow 2017, "Adversarial training
        methods for semi-supervised text classification"). `loss` then runs twice.
        """
        dense, by_row, slope = self._gradients(loss)
        if adversarial:
            length = adversarial * tf.reduce_mean(tf.norm(self.embedded, axis=-1))
            steepness = tf.sqrt(tf.reduce_sum(slope * slope, axis=[1, 2], keepdims=True))
            again = self._gradients(loss, move=slope * (length / (steepness + EPSILON)))
            dense, by_row = dense + again[0], by_row + again[1]
        self._apply(dense, by_row)

    def _gradients(self, loss: Callable[[], Any], move: Any = None) -> tuple[Any, Any, Any]:
        """Return the gradients of the dense weights (flat), of the rows of the batch, and of the word vectors.

        move: float32[B, L, E], added to the vectors of the same tokens as before, so that word dropout is the same.
        """
        with tf.GradientTape() as tape:

            def read(token_ids: Any) -> Any:
                if move is None:
                    self.ids, places = tf.unique(tf.reshape(token_ids, [-1]))
                    self.places = tf.reshape(places, tf.shape(token_ids))
                    state = (self.last, self.table, *self.rows)
                    self.current = self._updated(*(tf.gather(part, self.ids) for part in state))
                tape.watch(self.current[0])
                self.embedded = tf.gather(self.current[0], self.places)
                return self.embedded if move is None else self.embedded + move

            self.embedding.call = read
            try:
                value = loss()
            finally:
                del self.embedding.call
        *dense, rows, slope = tape.gradient(value, [*self.dense, self.current[0], self.embedded])
        by_row = tf.math.unsorted_segment_sum(rows.values, rows.indices, tf.size(self.ids))
        if self.trained is not None:
            by_row *= tf.gather(self.trained, self.ids)[:, None]
        return self._flat(dense), by_row, slope

    def _apply(self, dense: Any, by_row: Any) -> None:
        norm = tf.sqrt(tf.reduce_sum(dense * dense) + tf.reduce_sum(by_row * by_row))
        scale = self.clip_norm / tf.maximum(norm, self.clip_norm) if self.clip_norm else 1.0
        self.step.assign_add(1)
        weights, *state = self._adam(dense * scale, self._flat(self.dense), *self.state)
        for variable, value in zip(self.state, state, strict=True):
            variable.assign(value)
        self._assign(weights)
        updated = self._adam(by_row * scale, *self.current)
        for variable, value in zip((self.table, *self.rows), updated, strict=True):
            variable.scatter_update(tf.IndexedSlices(value, self.ids))
        self.last.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(self.ids), self.step), self.ids))

    def catch_up(self) -> None:
        """Bring all rows up to date."""
        updated = self._updated(self.last, self.table, *self.rows)
        for variable, value in zip((self.table, *self.rows), updated, strict=True):
            variable.assign(value)
        self.last.assign(tf.fill(self.last.shape, self.step))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network the average of its weights, after `catch_up`."""
        if not self.momentum:
            yield
            return
        dense, table = self._flat(self.dense), tf.identity(self.table)
        self._assign(self.state[2])
        self.table.assign(self.rows[2])
        yield
        self._assign(dense)
        self.table.assign(table)

    def _adam(self, gradient: Any, weights: Any, m: Any, v: Any, average: Any) -> tuple[Any, Any, Any, Any]:
        m, v = B1 * m + (1 - B1) * gradient, B2 * v + (1 - B2) * gradient * gradient
        weights -= self._alpha(tf.cast(self.step, tf.float32)) * m / (tf.sqrt(v) + EPSILON)
        momentum = tf.where(self.step > 1, self.momentum, 0.0)
        return weights, m, v, momentum * average + (1 - momentum) * weights

    def _alpha(self, step: Any) -> Any:
        return self.rate * tf.sqrt(1 - B2**step) / (1 - B1**step)

    def _updated(self, last: Any, weights: Any, m: Any, v: Any, average: Any) -> list[Any]:
        """Return weights, m, v and average of rows after the steps since `last`, which had no gradient for them."""
        missed = tf.cast(self.step - last, tf.float32)[:, None]
        lag = tf.minimum((missed + 1) / 2, 1 / (1 - RATIO))  # The mean missed step, weighed by RATIO**k.
        alpha = self._alpha(tf.cast(last, tf.float32)[:, None] + lag)
        stride = alpha * m / (tf.sqrt(v) + EPSILON) * (RATIO / (1 - RATIO))
        end, decay = weights - stride, RATIO**missed  # After k steps: end + stride * RATIO**k.
        kept = self.momentum**missed
        gap = self.momentum - RATIO
        between = (1 - self.momentum) * RATIO * (kept - decay) / (gap if abs(gap) > 1e-4 else 1e-4)
        average = kept * average + (1 - kept) * end + between * stride
        return [end + stride * decay, m * B1**missed, v * B2**missed, average]

    def _flat(self, tensors: list[Any]) -> Any:
        return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)

    def _assign(self, flat: Any) -> None:
        sizes = [int(np.prod(variable.shape)) for variable in self.dense]
        for variable, value in zip(self.dense, tf.split(flat, sizes), strict=True):
            variable.assign(tf.reshape(value, variable.shape))
