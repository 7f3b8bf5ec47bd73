"""The LSTM's passes over time as compiled loops, for training on a CPU. Loads TensorFlow and Numba.

At the sizes of text classifiers (B 64, H 32 to 128) Keras spends most of a step on starting small operations, and each
reads again what the last one wrote. Here a step of time is one product and one pass over the gates, and the directions,
or the halves of a batch, run in two threads (ADR 18 compares). The network stays one of Keras layers; only
`network(...)` traced inside `fast_lstm` runs here.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import keras
import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (what Numba calls for products: threadpool_limits finds what is loaded)
import tensorflow as tf

from lstm_model.arrays import Float32, Int32

Pass = Callable[..., None]
FAST_MATH = {"nsz", "contract"}  # Sums keep their order: equal input gives equal output. NaN stays NaN.
ZERO, HALF, ONE, TWO = map(np.float32, (0, 0.5, 1, 2))


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
    outputs = tf.custom_gradient(loop.run)(recurrent, lengths, tf.tensordot(states, kernel, 1) + bias)
    if _cells(layer)[0].return_sequences:
        return outputs
    units = recurrent.shape[1]  # The backward direction ends at the first token.
    return tf.concat([tf.gather(outputs[..., :units], lengths - 1, batch_dims=1), outputs[:, 0, units:]], -1)


def _packed(kernel: Any) -> Any:
    """Reorder the gates i, f, c, o to i, f, o, c and halve the first three: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2."""
    i, f, c, o = tf.split(tf.convert_to_tensor(kernel), 4, axis=-1)
    return tf.concat([i * 0.5, f * 0.5, o * 0.5, c], -1)


def _compiled(function: Pass) -> Pass:
    """Return the function, compiled at its first call (a second) and kept in __pycache__ or the user's cache."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": FAST_MATH}
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # No such folder can be written.
        compiled = numba.njit(**options)(function)
    return compiled  # type: ignore[no-any-return]


@numba.njit(inline="always", fastmath=FAST_MATH)  # type: ignore[untyped-decorator]
def _tanh(x: Any) -> Any:
    """Return tanh(x) to within 4e-7 by Eigen's rational function: without a branch, many are computed at once."""
    x = min(max(x, np.float32(-7.905311)), np.float32(7.905311))
    y = x * x
    p = y * np.float32(-2.76076847742355e-16) + np.float32(2.00018790482477e-13)
    p = y * p + np.float32(-8.60467152213735e-11)
    p = y * p + np.float32(5.12229709037114e-08)
    p = y * p + np.float32(1.48572235717979e-05)
    p = y * p + np.float32(6.37261928875436e-04)
    p = y * p + np.float32(4.89352455891786e-03)
    q = y * np.float32(1.19825839466702e-06) + np.float32(1.18534705686654e-04)
    q = y * q + np.float32(2.26843463243900e-03)
    q = y * q + np.float32(4.89352518554385e-03)
    return x * p / q


@_compiled
def _forward(
    inputs: Any, lengths: Any, outputs: Any, recurrent: Any, first: int, direction: int, relu: bool,
    gates: Any, cells: Any, active: Any,
) -> None:  # fmt: skip
    """Write outputs[first:first+R, :, direction*H:][..., :H] and what `_backward` needs.

    inputs: [B, L, D*4H]; outputs: [B, L, D*H]; recurrent: [H, 4H]; of the R rows gates: [L, R, 4H], cells: [L+1, R, H],
    active: [L, R, H]. Direction 1 reads from the end. After the end of a row all is 0: there direction 1 starts.
    """
    steps, rows, width = gates.shape
    units = width // 4
    hidden = np.zeros((rows, units), np.float32)
    cells[0] = ZERO
    for step in range(steps):
        place = steps - 1 - step if direction else step
        np.dot(hidden, recurrent, gates[step])
        for row in range(rows):
            inside = ONE if place < lengths[first + row] else ZERO
            added = inputs[first + row, place, direction * width : (direction + 1) * width]
            output = outputs[first + row, place, direction * units : (direction + 1) * units]
            gate, before, cell, state = gates[step, row], cells[step, row], cells[step + 1, row], active[step, row]
            # Several loops over few arrays each: of many, the compiler would not compute several values at once.
            for n in range(3 * units):
                gate[n] = _tanh(gate[n] + added[n]) * HALF + HALF
            for n in range(3 * units, width):
                gate[n] = max(gate[n] + added[n], ZERO) if relu else _tanh(gate[n] + added[n])
            for n in range(units):
                cell[n] = (gate[units + n] * before[n] + gate[n] * gate[3 * units + n]) * inside
            for n in range(units):
                state[n] = max(cell[n], ZERO) if relu else _tanh(cell[n])
            for n in range(units):
                output[n] = gate[2 * units + n] * state[n]
            hidden[row] = output


@_compiled
def _backward(
    upstream: Any, lengths: Any, changes: Any, transposed: Any, first: int, direction: int, relu: bool,
    gates: Any, cells: Any, active: Any,
) -> None:  # fmt: skip
    """Write changes[first:first+R, :, direction*4H:][..., :4H], the gradient of the inputs.

    upstream: [B, L, D*H]; changes: [B, L, D*4H]; transposed: [4H, H]; the rest as `_forward` left it.
    """
    steps, rows, width = gates.shape
    units = width // 4
    change = np.empty((rows, width), np.float32)
    d_hidden, d_cell = np.zeros((rows, units), np.float32), np.zeros((rows, units), np.float32)
    for step in range(steps - 1, -1, -1):
        place = steps - 1 - step if direction else step
        for row in range(rows):
            inside = ONE if place < lengths[first + row] else ZERO
            above = upstream[first + row, place, direction * units : (direction + 1) * units]
            gate, before, state, out = gates[step, row], cells[step, row], active[step, row], change[row]
            hidden, cell = d_hidden[row], d_cell[row]
            for n in range(units):
                hidden[n] += above[n]
            for n in range(units):
                slope = (ONE if state[n] > ZERO else ZERO) if relu else ONE - state[n] * state[n]
                cell[n] = (cell[n] + hidden[n] * gate[2 * units + n] * slope) * inside
            for n in range(units):
                out[n] = cell[n] * gate[3 * units + n] * gate[n] * (TWO - TWO * gate[n])  # Of the halved input.
            for n in range(units):
                out[units + n] = cell[n] * before[n] * gate[units + n] * (TWO - TWO * gate[units + n])
            for n in range(units):
                out[2 * units + n] = hidden[n] * state[n] * gate[2 * units + n] * (TWO - TWO * gate[2 * units + n])
            for n in range(units):
                c = gate[3 * units + n]
                out[3 * units + n] = cell[n] * gate[n] * ((ONE if c > ZERO else ZERO) if relu else ONE - c * c)
            for n in range(units):
                cell[n] *= gate[units + n]
            changes[first + row, place, direction * width : (direction + 1) * width] = out
        np.dot(change, transposed, d_hidden)


class _Loop:
    """One LSTM layer over time, with its gradient. Keeps the states of a forward pass for the backward pass."""

    def __init__(self, *, relu: bool) -> None:
        self.relu = relu
        self.thread = ThreadPoolExecutor(1)
        self.buffers: dict[tuple[int, bool], Float32] = {}

    def run(self, recurrent: Any, lengths: Any, inputs: Any) -> Any:
        """recurrent: [D, H, 4H]; lengths: int32[B]; inputs: [B, L, D*4H] -> [B, L, D*H], and its gradient."""
        count, units = recurrent.shape[:2]
        outputs = tf.numpy_function(self._forward, [recurrent, lengths, inputs], tf.float32)
        outputs = tf.ensure_shape(outputs, (None, None, count * units))

        def gradient(upstream: Any) -> Any:
            changes = tf.numpy_function(self._backward, [recurrent, lengths, upstream], tf.float32)
            changes = tf.ensure_shape(changes, (None, None, count * 4 * units))
            none = tf.zeros_like(outputs[:, :1, :units])
            before = [tf.concat([none, outputs[:, :-1, :units]], 1)]
            before += [tf.concat([outputs[:, 1:, units:], none], 1)] if count == 2 else []
            pairs = zip(before, tf.split(changes, count, -1), strict=True)
            return tf.stack([tf.tensordot(h, change, [[0, 1], [0, 1]]) for h, change in pairs]), None, changes

        return outputs, gradient

    def _forward(self, recurrent: Float32, lengths: Int32, inputs: Float32) -> Float32:
        outputs = np.empty((*inputs.shape[:2], inputs.shape[2] // 4), np.float32)
        self._run(_forward, inputs, lengths, outputs, recurrent)
        return outputs

    def _backward(self, recurrent: Float32, lengths: Int32, upstream: Float32) -> Float32:
        changes = np.empty((*upstream.shape[:2], upstream.shape[2] * 4), np.float32)
        self._run(_backward, upstream, lengths, changes, np.ascontiguousarray(recurrent.transpose(0, 2, 1)))
        return changes

    def _run(self, function: Pass, source: Float32, lengths: Int32, target: Float32, weights: Float32) -> None:
        """Run a pass in two threads: a direction each, or half of the rows."""
        rows, steps, units = *source.shape[:2], min(weights.shape[1:])
        halves = [(0, rows)] if len(weights) == 2 or rows == 1 else [(0, rows // 2), (rows // 2, rows)]
        common = (source, lengths, target)
        calls = [
            partial(function, *common, weights[d], part[0], d, self.relu, *self._states(d, part, steps, units))
            for d in range(len(weights))
            for part in halves
        ]
        others = [self.thread.submit(call) for call in calls[1:]]
        calls[0]()
        for other in others:
            other.result()

    def _states(self, direction: int, part: tuple[int, int], steps: int, units: int) -> list[Float32]:
        """Return the gates, cells and active states of some rows; new arrays would be page faults at each step."""
        rows = part[1] - part[0]
        shapes = [(steps, rows, 4 * units), (steps + 1, rows, units), (steps, rows, units)]
        ends = np.cumsum([prod(shape) for shape in shapes])
        place = (direction, part[0] > 0)
        if place not in self.buffers or len(self.buffers[place]) < ends[-1]:
            self.buffers[place] = np.empty(ends[-1], np.float32)
        arrays = np.split(self.buffers[place][: ends[-1]], ends[:-1])
        return [array.reshape(shape) for array, shape in zip(arrays, shapes, strict=True)]
