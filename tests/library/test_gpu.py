"""Training where TensorFlow sees a GPU. Here it only seems to, so cuDNN's kernels are traced and not run."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config
from tensorflow.python.framework import kernels

from lstm_model.config.model import ModelConfig
from lstm_model.network.device import device_name, full_precision, use_repeatable_kernels
from lstm_model.network.network import build_network
from lstm_model.network.optimizer import Optimizer
from lstm_model.network.training import _Step, predict_logits, train_network
from tests.library.test_training import TRAIN, VALIDATION, build, settings

RELU: dict[str, Any] = {"activation": "relu", "pooling": "last", "embedding_skip": False, "bidirectional": False}
NETWORKS = [{}, {"lstm_layers": 2, "bidirectional": False}, RELU]


@contextmanager
def pretended_gpu() -> Iterator[None]:
    devices = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda kind=None: devices)
        patch.setattr(tf.config.experimental, "get_device_details", lambda device: {"device_name": "Some GPU"})
        patch.setattr(import_module("keras.src.backend.tensorflow.rnn"), "_is_gpu_available", lambda: True)
        yield


def nodes_of_a_step(changes: dict[str, Any]) -> list[Any]:
    with pretended_gpu():
        network = build_network(ModelConfig.model_validate(changes), vocab_size=20, num_classes=3, seed=1)
        optimizer = Optimizer(network, rate=1e-3, clip_norm=1, momentum=0.9)
        step = _Step(network, optimizer, adversarial=1.0)  # The network runs twice.
    graph = step.run.graph.as_graph_def()
    return [node for part in (graph, *graph.library.function) for node in getattr(part, "node_def", None) or part.node]


@pytest.mark.parametrize(("changes", "layers"), zip(NETWORKS, (2, 2, 0), strict=True))
def test_a_step_runs_lstm_layers_with_cudnn_in_float32(changes: dict[str, Any], layers: int) -> None:
    nodes = nodes_of_a_step(changes)
    for op in ("CudnnRNNV3", "CudnnRNNBackpropV3"):
        found = [node for node in nodes if node.op == op]
        assert len(found) == 2 * layers
        assert all(node.attr["T"].type == tf.float32 for node in found)
    assert any(node.op == "PyFunc" for node in nodes) == (not layers)  # cuDNN has no relu, and Keras's loop is slower.
    assert not any(node.op in ("While", "StatelessWhile") for node in nodes)


def kinds_without_kernel(nodes: list[Any]) -> Iterator[tuple[str, dict[str, int]]]:
    for node in nodes:
        types = {name: value.type for name, value in node.attr.items() if value.type}
        devices = {
            kernel.device_type
            for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
            if all(types.get(c.name) in (None, *c.allowed_values.list.type) for c in kernel.constraint)
        }
        if node.op != "PyFunc" and not devices & {"GPU", "DEFAULT"} and tf.string not in types.values():
            yield node.op, types


if tf.test.is_built_with_cuda():  # Only TensorFlow of requirements-gpu.lock has kernels for GPUs.

    @pytest.mark.parametrize("changes", NETWORKS)
    def test_every_operation_of_a_step_has_a_kernel_for_a_gpu(changes: dict[str, Any]) -> None:
        assert not list(kinds_without_kernel(nodes_of_a_step(changes)))


def test_layers_without_cudnn_train_as_on_a_cpu() -> None:
    expected = train_network(build(**RELU), TRAIN, VALIDATION, settings())
    with pretended_gpu():
        found = train_network(build(**RELU), TRAIN, VALIDATION, settings())
    for ours, theirs in zip(found.epochs, expected.epochs, strict=True):
        for metric in ("train_loss", "validation_log_loss"):
            assert ours[metric] == pytest.approx(theirs[metric], abs=1e-4)


def test_a_network_made_on_a_gpu_is_saved_in_float32_and_answers_without_one(tmp_path: Path) -> None:
    with pretended_gpu():
        build().save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    assert {layer.dtype_policy.name for layer in loaded._flatten_layers()} == {"float32"}
    np.testing.assert_array_equal(predict_logits(loaded, VALIDATION), predict_logits(build(), VALIDATION))


@pytest.mark.parametrize("changes", [{}, RELU])
def test_where_tensorflow_sees_a_gpu_its_operations_repeat_themselves(changes: dict[str, Any]) -> None:
    use_repeatable_kernels()
    assert not tf_config.is_op_determinism_enabled()
    try:
        with pretended_gpu():
            use_repeatable_kernels()
        assert tf_config.is_op_determinism_enabled()
        # An operation that cannot repeat itself would refuse.
        first, second = (train_network(build(**changes), TRAIN, VALIDATION, settings()) for _ in range(2))
    finally:
        tf_config.disable_op_determinism()
    assert first.epochs == second.epochs


def test_the_device_is_named() -> None:
    assert device_name() == "CPU"
    with pretended_gpu():
        assert device_name() == "Some GPU"


def test_full_precision_ends_with_its_block() -> None:
    with full_precision():
        assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert tf.config.experimental.tensor_float_32_execution_enabled()
