"""The int8 graph: guards that change nothing, answers of a row that depend on that row alone, and close to float."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from lstm_model.classifier.classifier import softmax
from lstm_model.config.model import ModelConfig
from lstm_model.network.export import write_onnx
from lstm_model.network.network import build_network
from lstm_model.network.quantization import output_bounds, write_int8_onnx
from lstm_model.tokens.batches import pad_batch
from lstm_model.tokens.encoded_rows import EncodedRows
from tests.library.test_classifier_and_export import network_config, with_random_weights

KINDS = [
    network_config(
        bidirectional=bidirectional,
        pooling=pooling,
        activation=activation,
        embedding_skip=skip,
        lstm_layers=layers,
        dense_units=8 * (layers - 1),
    )
    for bidirectional, (pooling, skip), activation, layers in product(
        (False, True), (("last", False), ("max", True), ("mean", True), ("max", False)), ("tanh", "relu"), (1, 2)
    )
]


def some_rows(count: int = 40) -> EncodedRows:
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 12, count)
    token_ids = rng.integers(1, 30, lengths.sum()).astype(np.int32)
    return EncodedRows(token_ids, np.concatenate([[0], np.cumsum(lengths)]), np.zeros(count, np.int32))


def trained_like(config: ModelConfig) -> object:
    """Smaller weights than the other tests': the outputs of a relu network would grow from step to step."""
    network = with_random_weights(build_network(config, vocab_size=30, num_classes=3, seed=1), seed=2)
    for weight in network.trainable_variables:
        weight.assign(weight * 0.7)
    return network


def run(path: Path, rows: EncodedRows, places: list[int]) -> np.ndarray:
    session = onnxruntime.InferenceSession(path.read_bytes())
    chosen = np.array(places)
    feed = {
        "token_ids": pad_batch(rows.token_ids, rows.offsets, chosen),
        "lengths": rows.lengths[chosen].astype(np.int32),
    }
    return softmax(session.run(["logits"], feed)[0])


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_guards_alone_change_nothing(config: ModelConfig, tmp_path: Path) -> None:
    network, rows = trained_like(config), some_rows()
    everything = list(range(len(rows)))
    write_onnx(network, config, tmp_path / "plain.onnx")
    # A bound that no output reaches: nothing is cut.
    write_onnx(network, config, tmp_path / "guarded.onnx", bounds=[50.0] * config.lstm_layers)
    plain, guarded = run(tmp_path / "plain.onnx", rows, everything), run(tmp_path / "guarded.onnx", rows, everything)
    np.testing.assert_allclose(guarded, plain, rtol=0, atol=1e-5)
    assert np.ptp(plain, axis=0).max() > 0.01


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_a_rows_int8_answer_is_its_own_and_near_the_float_one(config: ModelConfig, tmp_path: Path) -> None:
    network, rows = trained_like(config), some_rows()
    everything = list(range(len(rows)))
    write_onnx(network, config, tmp_path / "float.onnx")
    write_int8_onnx(network, config, tmp_path / "int8.onnx", rows=rows)
    together = run(tmp_path / "int8.onnx", rows, everything)
    alone = np.concatenate([run(tmp_path / "int8.onnx", rows, [row]) for row in everything])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
    # Not all: of a relu layer the largest outputs are cut.
    differences = np.abs(together - run(tmp_path / "float.onnx", rows, everything))
    assert np.quantile(differences, 0.9) < 0.03
    operations = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    assert operations.count("DynamicQuantizeLSTM") == config.lstm_layers and "LSTM" not in operations


def test_bounds_are_one_for_tanh_and_measured_for_relu() -> None:
    rows = some_rows()
    tanh, relu = network_config(lstm_layers=2), network_config(lstm_layers=2, activation="relu")
    assert output_bounds(trained_like(tanh), tanh, rows) == [1.0, 1.0]
    bounds = output_bounds(trained_like(relu), relu, rows)
    assert len(bounds) == 2 and all(0 < bound < 50 for bound in bounds)


def test_the_int8_file_is_about_a_quarter_of_the_float_one(tmp_path: Path) -> None:
    config = network_config(embedding_dim=64, lstm_units=32)
    network = build_network(config, vocab_size=2_000, num_classes=3, seed=1)
    write_onnx(network, config, tmp_path / "float.onnx")
    write_int8_onnx(network, config, tmp_path / "int8.onnx", rows=some_rows())
    assert (tmp_path / "int8.onnx").stat().st_size < 0.35 * (tmp_path / "float.onnx").stat().st_size
