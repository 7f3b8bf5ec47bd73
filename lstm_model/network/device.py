"""Training on a GPU, which needs no setting: TensorFlow places the step there if it sees one. Loads TensorFlow.

Keras runs its LSTM layers with cuDNN then: activation tanh, masks that are True on the left and False on the right, no
row without a token (keras/src/backend/tensorflow/rnn.py). Others run the compiled loop of `lstm_loop`, on the CPU.

Mixed precision is TensorFlow's default from NVIDIA's Ampere on: float32 everywhere, products in TF32 (10 bits of
mantissa) added up in float32. No Keras policy: TensorFlow casts bfloat16 back to float32 for cuDNN's LSTM (pull request
60108), and 16 bits do not pay (docs/results.md has the times of both).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


def device_name() -> str:
    """Return the name of the GPU on which TensorFlow trains, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "CPU"


def use_repeatable_kernels() -> None:
    """On a GPU, let equal trainings end with equal weights, which takes a tenth longer; a CPU needs no such setting.

    Holds for the process. Call before the network is built.
    """
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


@contextmanager
def full_precision() -> Iterator[None]:
    """Products without TF32, which moves states by up to 2e-3. Enter before a network's first call: kernels may keep
    the choice."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
