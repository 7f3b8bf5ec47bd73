"""Training on a GPU, which needs no setting: TensorFlow places the step there if it sees one. Loads TensorFlow.

Keras runs its LSTM layers with cuDNN then: activation tanh, masks that are True on the left and False on the right, no
row without a token (keras/src/backend/tensorflow/rnn.py). Others run the compiled loop of `lstm_loop`, on the CPU:
its predecessor in NumPy made 1,430 rows/s for `article` in a machine with an H200, Keras's loop on the H200 840.

Mixed precision is TensorFlow's default from NVIDIA's Ampere on: float32 everywhere, products in TF32 (10 bits of
mantissa) added up in float32. No Keras policy: TensorFlow casts bfloat16 back to float32 for cuDNN's LSTM (pull request
60108), and 16 bits do not pay. Forward and backward of the LSTM on an H100 with PyTorch's cuDNN, ms, for float32 / TF32
/ bfloat16 / float16 by autocast: B 64, L 40, E 200, H 32, both directions 1.2 to 1.4 / 1.2 / 2.4 / 2.5; B 512 1.2 / 1.2
/ 2.1 / 2.0; `article` with tanh, B 64 1.1 / 1.2 / 2.6 / 2.0; B 512, H 512 12.6 / 4.7 / 4.6 / 5.3.
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
