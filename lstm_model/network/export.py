"""Writes any network of `network.build_network` as an ONNX graph with native LSTM nodes. Loads TensorFlow and onnx.

Keras's own export turns a masked LSTM into slow Loop nodes. Here the graph is built from the weights, with ONNX LSTM
nodes, whose input `sequence_lens` masks exactly.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lstm_model.arrays import Float32
from lstm_model.config.model import ModelConfig

OPSET = 17


def write_onnx(network: keras.Model, config: ModelConfig, path: Path) -> None:
    """Write the graph: token_ids int32[B, L] (right-padded), lengths int32[B] (each >= 1) -> logits float32[B, C]."""
    graph = _Graph(network)
    embedded = graph.node("Gather", [graph.constant("embeddings", graph.weights("embedding")[0]), "token_ids"])
    states, last = graph.node("Transpose", [embedded], perm=[1, 0, 2]), ""  # The ONNX LSTM takes [L, B, E].
    for number in range(1, config.lstm_layers + 1):
        states, last = _lstm(graph, config, number, states)
    hidden = last if config.pooling == "last" else _pooled(graph, config, embedded=embedded, states=states)
    if config.dense_units:
        hidden = graph.node("Relu", [_dense(graph, "dense", hidden)])
    graph.node("Identity", [_dense(graph, "logits", hidden)], output="logits")
    onnx.save(graph.model(num_classes=network.output_shape[-1]), path)


class _Graph:
    def __init__(self, network: keras.Model) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def weights(self, layer: str) -> list[Float32]:
        return [np.asarray(value, dtype=np.float32) for value in self.network.get_layer(layer).get_weights()]

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, op: str, inputs: list[str], *, output: str = "", **attributes: Any) -> str:
        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{len(self.nodes)}", **attributes))
        return output

    def model(self, num_classes: int) -> onnx.ModelProto:
        token_ids = helper.make_tensor_value_info("token_ids", TensorProto.INT32, ["rows", "tokens"])
        lengths = helper.make_tensor_value_info("lengths", TensorProto.INT32, ["rows"])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", num_classes])
        constants = list(self.constants.values())
        graph = helper.make_graph(self.nodes, "lstm_text", [token_ids, lengths], [logits], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model


def _lstm(graph: _Graph, config: ModelConfig, number: int, states: str) -> tuple[str, str]:
    """Add one LSTM layer; return the names of its states [L, B, D*H] and of its last state [B, D*H]."""
    kind, directions = ("bidirectional", 2) if config.bidirectional else ("forward", 1)
    name = f"{'bidirectional' if config.bidirectional else 'lstm'}_{number}"
    weights = graph.weights(name)
    kernels = zip(*(_gates(*weights[3 * d : 3 * d + 3]) for d in range(directions)), strict=True)
    inputs = [graph.constant(f"{name}_{part}", np.stack(kernel)) for part, kernel in zip("WRB", kernels, strict=True)]
    outputs = [f"{name}_states", f"{name}_final"]
    activation = "Tanh" if config.activation == "tanh" else "Relu"
    node = helper.make_node(
        "LSTM", [states, *inputs, "lengths"], outputs, name=name, direction=kind, hidden_size=config.lstm_units,
        activations=["Sigmoid", activation, activation] * directions,
    )  # fmt: skip
    graph.nodes.append(node)
    width = directions * config.lstm_units
    shape = graph.constant(f"{name}_width", [0, 0, width])
    merged = graph.node("Reshape", [graph.node("Transpose", outputs[:1], perm=[0, 2, 1, 3]), shape])
    flat = graph.constant(f"{name}_flat", [0, width])
    return merged, graph.node("Reshape", [graph.node("Transpose", outputs[1:], perm=[1, 0, 2]), flat])


def _gates(kernel: Float32, recurrent: Float32, bias: Float32) -> tuple[Float32, Float32, Float32]:
    """Return W [4H, E], R [4H, H], B [8H]: Keras orders the gates i, f, c, o; ONNX i, o, f, c with two biases."""

    def reorder(matrix: Float32) -> Float32:
        i, f, c, o = np.split(matrix, 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    biases = reorder(bias)
    return reorder(kernel).T, reorder(recurrent).T, np.concatenate([biases, np.zeros_like(biases)])


def _pooled(graph: _Graph, config: ModelConfig, *, embedded: str, states: str) -> str:
    """Pool the states [L, B, W], and with embedding_skip the embeddings [B, L, E], over the tokens of each row."""
    tokens = graph.node("Gather", [graph.node("Shape", ["token_ids"]), graph.constant("axis_1", 1)])
    zero, one = graph.constant("zero", 0), graph.constant("one", 1)
    positions = graph.node("Cast", [graph.node("Range", [zero, tokens, one])], to=TensorProto.INT32)
    lengths = graph.node("Unsqueeze", ["lengths", graph.constant("axes_1", [1])])
    before_end = graph.node("Less", [positions, lengths])
    inside = graph.node("Unsqueeze", [before_end, graph.constant("axes_2", [2])])  # bool[B, L, 1].
    pooled = _pool(graph, config.pooling, graph.node("Transpose", [states], perm=[1, 0, 2]), inside)
    if not config.embedding_skip:
        return pooled
    return graph.node("Concat", [pooled, _pool(graph, config.pooling, embedded, inside)], axis=1)


def _pool(graph: _Graph, kind: str, values: str, inside: str) -> str:
    if kind == "max":
        lowest = graph.constant("lowest", np.finfo(np.float32).min)
        return graph.node("ReduceMax", [graph.node("Where", [inside, values, lowest])], axes=[1], keepdims=0)
    weights = graph.node("Cast", [inside], to=TensorProto.FLOAT)
    axes = graph.constant("axes_1", [1])
    total = graph.node("ReduceSum", [graph.node("Mul", [values, weights]), axes], keepdims=0)
    return graph.node("Div", [total, graph.node("ReduceSum", [weights, axes], keepdims=0)])


def _dense(graph: _Graph, layer: str, hidden: str) -> str:
    kernel, bias = graph.weights(layer)
    inputs = [graph.constant(f"{layer}_kernel", kernel), graph.constant(f"{layer}_bias", bias)]
    return graph.node("Gemm", [hidden, *inputs])
