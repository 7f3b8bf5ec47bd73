"""A trained Keras network as an ONNX graph with native LSTM nodes. Loads TensorFlow and onnx.

Keras's own ONNX export turns a masked LSTM into Loop nodes, which are slow. An ONNX LSTM node takes `sequence_lens`
instead, which masks exactly, so the graph is written from the weights: every network of `network.build_network`.
For `quantization.write_int8_onnx` the graph can carry guards; what they are for is told there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lstm_model.config.model import ModelConfig

OPSET = 17
Array = npt.NDArray[np.float32]


def write_onnx(network: keras.Model, config: ModelConfig, path: Path, *, bounds: Sequence[float] = ()) -> None:
    """Write the graph: token_ids int32[B, L] (right-padded), lengths int32[B] (each >= 1) -> logits float32[B, C].

    bounds: for each LSTM layer the largest absolute value of its output; given, guards hold every tensor to its range
    and a relu layer's output is cut at its bound.
    """
    graph = _Graph(network)
    embedded, skip = _embedded(graph, guarded=bool(bounds))
    states, columns, last = graph.node("Transpose", [embedded], perm=[1, 0, 2]), skip, ""  # ONNX LSTM wants [L, B, E].
    for number in range(1, config.lstm_layers + 1):
        bound = bounds[number - 1] if bounds else None
        states, last, columns = _lstm(graph, config, number, states, columns, bound)
    hidden = last if config.pooling == "last" else _pooled(graph, config, embedded=embedded, states=states)
    if config.embedding_skip:
        columns = columns.beside(skip)
    if config.dense_units:
        hidden, columns = (
            graph.node("Relu", [_dense(graph, "dense", hidden, columns)]),
            Columns.plain(config.dense_units),
        )
    graph.node("Identity", [_dense(graph, "logits", hidden, columns)], output="logits")
    onnx.save(graph.model(num_classes=network.output_shape[-1]), path)


@dataclass(frozen=True)
class Columns:
    """What each column of a tensor is: the Keras column it holds (-1: a guard), and by what it was divided."""

    places: npt.NDArray[np.int64]
    divisors: Array

    @classmethod
    def plain(cls, width: int, *, guards: int = 0, divisor: float = 1.0) -> "Columns":
        places = np.concatenate([np.arange(width), np.full(guards, -1)])
        return cls(places, np.full(width + guards, divisor, dtype=np.float32))

    def beside(self, other: "Columns") -> "Columns":
        """Return the columns of both, the other's Keras columns counted on."""
        shifted = np.where(other.places >= 0, other.places + (self.places >= 0).sum(), -1)
        return Columns(np.concatenate([self.places, shifted]), np.concatenate([self.divisors, other.divisors]))

    def expand(self, kernel: Array) -> Array:
        """Return the kernel [K, N] of Keras for these columns: a row each, zero for a guard."""
        rows = np.zeros((len(self.places), kernel.shape[1]), dtype=np.float32)
        real = self.places >= 0
        rows[real] = kernel[self.places[real]] * self.divisors[real, None]
        return rows


class _Graph:
    """Collects nodes and constants under unique names."""

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def weights(self, layer: str) -> list[Array]:
        return [np.asarray(value, dtype=np.float32) for value in self.network.get_layer(layer).get_weights()]

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, op: str, inputs: list[str], *, output: str = "", **attributes: Any) -> str:
        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{len(self.nodes)}", **attributes))
        return output

    def model(self, num_classes: int) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "lstm_text",
            [
                helper.make_tensor_value_info("token_ids", TensorProto.INT32, ["rows", "tokens"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["rows"]),
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", num_classes])],
            list(self.constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model


def _embedded(graph: _Graph, *, guarded: bool) -> tuple[str, Columns]:
    """Look up the embeddings: [B, L, E]; guards are two columns that hold the table's largest and smallest value."""
    table = graph.weights("embedding")[0]
    columns = Columns.plain(table.shape[1], guards=2 if guarded else 0)
    if guarded:
        extremes = np.array([max(table.max(), 0), min(table.min(), 0)], dtype=np.float32)
        table = np.concatenate([table, np.tile(extremes, (len(table), 1))], axis=1)
    return graph.node("Gather", [graph.constant("embeddings", table), "token_ids"]), columns


def _lstm(
    graph: _Graph, config: ModelConfig, number: int, states: str, columns: Columns, bound: float | None
) -> tuple[str, str, Columns]:
    """Add one LSTM layer; return the names of its states [L, B, D*H] and of its last state [B, D*H], and the columns.

    With a bound there are guard units: one that is always at the largest value and, for tanh, one at the smallest.
    """
    name = f"{'bidirectional' if config.bidirectional else 'lstm'}_{number}"
    directions, tanh = 2 if config.bidirectional else 1, config.activation == "tanh"
    guards = 0 if bound is None else 2 if tanh else 1
    scale = 1.0 if bound is None or tanh else bound
    units = Columns.plain(config.lstm_units, guards=guards, divisor=scale)
    weights = graph.weights(name)
    kernels = [_gates(weights[3 * d : 3 * d + 3], columns, units, guards) for d in range(directions)]
    names = [
        graph.constant(f"{name}_{part}", np.stack([kernel[i] for kernel in kernels])) for i, part in enumerate("WRB")
    ]
    cells = [] if bound is None else ["", _guard_cells(graph, name, directions, config.lstm_units, guards, scale)]
    every, final = f"{name}_states", f"{name}_final"
    graph.nodes.append(
        helper.make_node(
            "LSTM",
            [states, *names, "lengths", *cells],
            [every, final],
            name=name,
            hidden_size=config.lstm_units + guards,
            direction="bidirectional" if config.bidirectional else "forward",
            **_activations(tanh=tanh, bound=bound, directions=directions),
        )
    )
    width = directions * (config.lstm_units + guards)
    shape = graph.constant(f"{name}_width", np.array([0, 0, width], dtype=np.int64))
    merged = graph.node("Reshape", [graph.node("Transpose", [every], perm=[0, 2, 1, 3]), shape])
    flat = graph.constant(f"{name}_flat", np.array([0, width], dtype=np.int64))
    last = graph.node("Reshape", [graph.node("Transpose", [final], perm=[1, 0, 2]), flat])
    return merged, last, units.beside(units) if config.bidirectional else units


def _activations(*, tanh: bool, bound: float | None, directions: int) -> dict[str, Any]:
    """Return the attributes for gates, cell input and output; HardSigmoid(h / bound) is relu cut at the bound."""
    if tanh or bound is None:
        return {"activations": ["Sigmoid", *(["Tanh"] * 2 if tanh else ["Relu"] * 2)] * directions}
    slope = {"activation_alpha": [1 / bound] * directions, "activation_beta": [0.0] * directions}
    return {"activations": ["Sigmoid", "Relu", "HardSigmoid"] * directions, **slope}


def _gates(weights: list[Array], columns: Columns, units: Columns, guards: int) -> tuple[Array, Array, Array]:
    """Return W [4H, E], R [4H, H], B [8H]: Keras orders the gates i, f, c, o; ONNX i, o, f, c with two biases.

    A guard unit keeps its cell: input gate shut, the others open, all by their bias.
    """

    def reorder(matrix: Array, guard: dict[str, float] | None = None) -> Array:
        i, f, c, o = np.split(matrix, 4, axis=-1)
        filled = [
            np.concatenate([part, np.full((*part.shape[:-1], guards), (guard or {}).get(name, 0.0))], axis=-1)
            for name, part in zip("iofc", (i, o, f, c), strict=True)
        ]
        return np.concatenate(filled, axis=-1).astype(np.float32)

    kernel, recurrent, bias = weights
    biases = reorder(bias, {"i": -30.0, "o": 30.0, "f": 30.0})
    both = np.concatenate([biases, np.zeros_like(biases)])
    return reorder(columns.expand(kernel)).T, reorder(units.expand(recurrent)).T, both


def _guard_cells(graph: _Graph, name: str, directions: int, units: int, guards: int, scale: float) -> str:
    """Return the name of the initial cells [D, B, H]: zero, but far beyond the bound for the guards."""
    cells = np.zeros((directions, 1, units + guards), dtype=np.float32)
    cells[..., units:] = np.array([20.0, -20.0])[:guards] * scale
    size = [
        graph.constant(f"{name}_directions", np.array([directions], np.int64)),
        graph.node("Shape", ["lengths"]),
        graph.constant(f"{name}_units", np.array([units + guards], np.int64)),
    ]
    return graph.node("Expand", [graph.constant(f"{name}_cells", cells), graph.node("Concat", size, axis=0)])


def _pooled(graph: _Graph, config: ModelConfig, *, embedded: str, states: str) -> str:
    """Pool the states [L, B, W], and with embedding_skip the embeddings [B, L, E], over the tokens of each row."""
    inside = _inside(graph)
    pooled = [_pool(graph, config.pooling, graph.node("Transpose", [states], perm=[1, 0, 2]), inside)]
    if config.embedding_skip:
        pooled.append(_pool(graph, config.pooling, embedded, inside))
    return graph.node("Concat", pooled, axis=1) if len(pooled) > 1 else pooled[0]


def _inside(graph: _Graph) -> str:
    """Return the name of bool[B, L, 1]: the position lies before the row's length."""
    tokens = graph.node("Gather", [graph.node("Shape", ["token_ids"]), graph.constant("axis_1", np.array(1))])
    zero, one = graph.constant("zero", np.array(0, np.int64)), graph.constant("one", np.array(1, np.int64))
    positions = graph.node("Cast", [graph.node("Range", [zero, tokens, one])], to=TensorProto.INT32)
    lengths = graph.node("Unsqueeze", ["lengths", graph.constant("axes_1", np.array([1], np.int64))])
    return graph.node(
        "Unsqueeze", [graph.node("Less", [positions, lengths]), graph.constant("axes_2", np.array([2], np.int64))]
    )


def _pool(graph: _Graph, kind: str, values: str, inside: str) -> str:
    if kind == "max":
        lowest = graph.constant("lowest", np.array(np.finfo(np.float32).min, np.float32))
        return graph.node("ReduceMax", [graph.node("Where", [inside, values, lowest])], axes=[1], keepdims=0)
    weights = graph.node("Cast", [inside], to=TensorProto.FLOAT)
    axes = graph.constant("axes_1", np.array([1], np.int64))
    total = graph.node("ReduceSum", [graph.node("Mul", [values, weights]), axes], keepdims=0)
    return graph.node("Div", [total, graph.node("ReduceSum", [weights, axes], keepdims=0)])


def _dense(graph: _Graph, layer: str, hidden: str, columns: Columns) -> str:
    kernel, bias = graph.weights(layer)
    names = [graph.constant(f"{layer}_kernel", columns.expand(kernel)), graph.constant(f"{layer}_bias", bias)]
    return graph.node("Gemm", [hidden, *names])
