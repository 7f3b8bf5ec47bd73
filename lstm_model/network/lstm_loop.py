"""The LSTM's passes over time in NumPy, for training on a CPU: faster than Keras's loop. Loads TensorFlow.

At the sizes of text classifiers (B 64, H 32 to 128) most of a step is the cost of starting small operations. Shortest
forward and backward pass of one layer on a busy machine, relative to keras.layers.LSTM with a mask (B 64, L 40, E 200,
H 32, both directions / B 64, L 35, E 128, H 128, relu): without the mask 0.90 / 0.65, a tf.while_loop with a written
gradient 0.56 / 0.75, a trial in NumPy 0.37 / 0.43. Forward and backward of whole networks with this module: 1.4 to 2.2
times as fast (one busy run 0.95). Threads for directions or halves of the batch were mostly slower (Python's lock). The
network stays one of Keras layers; only `network(...)` traced inside `fast_lstm` runs here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]


@contextmanager
def fast_lstm(network: keras.Model) -> Iterator[None]:
    """Replace the calls of the network's LSTM layers while a tf.function is traced; on a GPU those for cuDNN stay."""
    gpu, tanh = tf.config.list_physical_devices("GPU"), keras.activations.tanh
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.LSTM | keras.layers.Bidirectional)]
    found = [layer for layer in layers if not (gpu and _cells(layer)[0].activation is tanh)]
    for layer in found:
        layer.call = partial(_call, layer, _Loop(relu=_cells(layer)[0].activation is keras.activations.relu))
    try:
        yield
    finally:
        for layer in found:
            del layer.call


def _cells(layer: Any) -> list[Any]:
    """Return the LSTM layer of each direction."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]


def _call(layer: Any, loop: "_Loop", states: Any, mask: Any = None, training: bool | None = None) -> Any:
    """Return what the layer would, but 0 after the end of a row: float32[B, L, E] -> [B, L, D*H] or [B, D*H].

    The input projections of all tokens are one product, outside the loop.
    """
    cells = [cell.cell for cell in _cells(layer)]
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    kernel, bias = (tf.concat([_packed(getattr(cell, part)) for cell in cells], -1) for part in ("kernel", "bias"))
    recurrent = tf.stack([_packed(cell.recurrent_kernel) for cell in cells])
    outputs = loop(recurrent, lengths, tf.tensordot(states, kernel, 1) + bias)
    if _cells(layer)[0].return_sequences:
        return outputs
    units = recurrent.shape[1]  # The backward direction ends at the first token.
    return tf.concat([tf.gather(outputs[..., :units], lengths - 1, batch_dims=1), outputs[:, 0, units:]], -1)


def _packed(kernel: Any) -> Any:
    """Reorder the gates i, f, c, o to i, f, o, c and halve the first three: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2."""
    i, f, c, o = tf.split(tf.convert_to_tensor(kernel), 4, axis=-1)
    return tf.concat([i * 0.5, f * 0.5, o * 0.5, c], -1)


class _Loop:
    """One LSTM layer over time, with its gradient. Keeps the states of a forward pass for the backward pass.

    Arrays in time order are [L, D, B, ...], those of TensorFlow [B, L, D*...]; the backward direction reads from the
    end. Both directions' input projections are one product: half the time of two at E 200, H 32.
    """

    def __init__(self, *, relu: bool) -> None:
        self.relu = relu
        self.buffers: dict[str, Array] = {}

    def __call__(self, recurrent: Any, lengths: Any, inputs: Any) -> Any:
        """recurrent: [D, H, 4H]; lengths: int32[B]; inputs: [B, L, D*4H] -> [B, L, D*H]."""
        count, units = recurrent.shape[:2]

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def run(recurrent: Any, inputs: Any) -> Any:
            outputs = tf.numpy_function(self._forward, [recurrent, lengths, inputs], tf.float32)
            outputs = tf.ensure_shape(outputs, (None, None, count * units))

            def gradient(upstream: Any) -> Any:
                changes = tf.numpy_function(self._backward, [recurrent, lengths, upstream], tf.float32)
                changes = tf.ensure_shape(changes, (None, None, count * 4 * units))
                none = tf.zeros_like(outputs[:, :1, :units])
                before = [tf.concat([none, outputs[:, :-1, :units]], 1)]
                before += [tf.concat([outputs[:, 1:, units:], none], 1)] if count == 2 else []
                pairs = zip(before, tf.split(changes, count, -1), strict=True)
                return tf.stack([tf.tensordot(h, change, [[0, 1], [0, 1]]) for h, change in pairs]), changes

            return outputs, gradient

        return run(recurrent, inputs)

    def _buffer(self, name: str, *shape: int) -> Array:
        """Return uninitialized memory: a new array of this size would be page faults at each step."""
        size = int(np.prod(shape))
        if name not in self.buffers or len(self.buffers[name]) < size:
            self.buffers[name] = np.empty(size, np.float32)
        return self.buffers[name][:size].reshape(shape)

    def _forward(self, recurrent: Array, lengths: npt.NDArray[np.int32], inputs: Array) -> Array:
        (rows, steps), (count, units, width) = inputs.shape[:2], recurrent.shape
        inputs = inputs.reshape(rows, steps, count, width)
        gates = self._buffer("gates", steps, count, rows, width)
        cells = self._buffer("cells", steps + 1, count, rows, units)
        active = self._buffer("active", steps, count, rows, units)
        outputs = np.empty((rows, steps, count, units), np.float32)
        hidden, product = np.zeros((2, count, rows, units), np.float32)
        cells[0] = 0
        for step in range(steps):
            gate, cell = gates[step], cells[step + 1]
            np.matmul(hidden, recurrent, out=gate)
            for d, place in enumerate(_places(step, steps, count)):
                gate[d] += inputs[:, place, d]
            sigmoids, candidate = gate[..., : 3 * units], gate[..., 3 * units :]
            np.tanh(sigmoids if self.relu else gate, out=sigmoids if self.relu else gate)
            if self.relu:
                np.maximum(candidate, 0, out=candidate)
            sigmoids *= 0.5
            sigmoids += 0.5
            np.multiply(gate[..., units : 2 * units], cells[step], out=cell)
            cell += np.multiply(gate[..., :units], candidate, out=product)
            self._cut(cell, step, lengths, steps)
            np.maximum(cell, 0, out=active[step]) if self.relu else np.tanh(cell, out=active[step])
            np.multiply(gate[..., 2 * units : 3 * units], active[step], out=hidden)
            for d, place in enumerate(_places(step, steps, count)):
                outputs[:, place, d] = hidden[d]
        return outputs.reshape(rows, steps, -1)

    def _backward(self, recurrent: Array, lengths: npt.NDArray[np.int32], upstream: Array) -> Array:
        (rows, steps), (count, units) = upstream.shape[:2], recurrent.shape[:2]
        upstream = upstream.reshape(rows, steps, count, units)
        gates = self._buffer("gates", steps, count, rows, 4 * units)
        cells = self._buffer("cells", steps + 1, count, rows, units)
        active = self._buffer("active", steps, count, rows, units)
        changes = np.empty((rows, steps, count, 4 * units), np.float32)
        change, slope = np.empty((count, rows, 4 * units), np.float32), np.empty((count, rows, 3 * units), np.float32)
        d_hidden, d_cell, product = np.zeros((3, count, rows, units), np.float32)
        transposed = np.ascontiguousarray(recurrent.transpose(0, 2, 1))
        for step in reversed(range(steps)):
            i, f, o, candidate = (gates[step][..., n * units : (n + 1) * units] for n in range(4))
            for d, place in enumerate(_places(step, steps, count)):
                d_hidden[d] += upstream[:, place, d]
            d_cell += np.multiply(
                self._slope(active[step], product), np.multiply(d_hidden, o, out=change[..., :units]), out=product
            )
            self._cut(d_cell, step, lengths, steps)
            sigmoids = gates[step][..., : 3 * units]
            np.subtract(2, np.multiply(sigmoids, 2, out=slope), out=slope)  # Of the halved input, hence twice.
            slope *= sigmoids
            np.multiply(d_cell, candidate, out=change[..., :units])
            np.multiply(d_cell, cells[step], out=change[..., units : 2 * units])
            np.multiply(d_hidden, active[step], out=change[..., 2 * units : 3 * units])
            change[..., : 3 * units] *= slope
            np.multiply(d_cell, i, out=change[..., 3 * units :])
            change[..., 3 * units :] *= self._slope(candidate, product)
            d_cell *= f
            np.matmul(change, transposed, out=d_hidden)
            for d, place in enumerate(_places(step, steps, count)):
                changes[:, place, d] = change[d]
        return changes.reshape(rows, steps, -1)

    def _slope(self, values: Array, out: Array) -> Array:
        """Return the derivative of the activation, from its values."""
        if self.relu:
            return np.greater(values, 0, out=out)
        return np.subtract(1, np.multiply(values, values, out=out), out=out)

    def _cut(self, cell: Array, step: int, lengths: npt.NDArray[np.int32], steps: int) -> None:
        """Set what lies after the end of a row to 0: there the backward direction starts, the forward one ends."""
        for d, place in enumerate(_places(step, steps, len(cell))):
            if place >= lengths.min():
                cell[d] *= (place < lengths)[:, None]


def _places(step: int, steps: int, directions: int) -> tuple[int, ...]:
    return (step, steps - 1 - step)[:directions]
