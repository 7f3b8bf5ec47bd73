"""What makes training fast changes its numbers only a little: the loop over time, and updates of single rows."""

from functools import partial
from typing import Any

import keras
import numba
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_model.config.model import ModelConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.network import lstm_loop
from lstm_model.network.lstm_loop import fast_lstm
from lstm_model.network.network import build_network
from lstm_model.network.optimizer import Optimizer

VOCAB_SIZE = 60
SMALL = {"embedding_dim": 6, "lstm_units": 5, "dropout_rate": 0, "word_dropout_rate": 0}
RELU = {"lstm_layers": 2, "activation": "relu", "pooling": "last", "embedding_skip": False, "dense_units": 7}


def build(**changes: Any) -> keras.Model:
    config = ModelConfig.model_validate(SMALL | changes)
    return build_network(config, vocab_size=VOCAB_SIZE, num_classes=3, seed=7)


def batch(rng: np.random.Generator, *, rows: int = 8, tokens: int = 6) -> tuple[Any, Any]:
    """Return right-padded token_ids and label_ids; some tokens are ten times as frequent as others."""
    token_ids = np.minimum(rng.geometric(0.08, (rows, tokens)) + 1, VOCAB_SIZE - 1).astype(np.int32)
    lengths = rng.integers(1, tokens + 1, rows)
    token_ids[np.arange(tokens) >= lengths[:, None]] = 0
    return tf.constant(token_ids), tf.constant(token_ids[:, 0] % 3)


def loss(network: keras.Model, token_ids: Any, label_ids: Any) -> Any:
    logits = network(token_ids, training=True)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label_ids, logits))


@pytest.mark.parametrize("changes", [{}, {"bidirectional": False}, RELU, RELU | {"bidirectional": False}])
def test_the_fast_loop_gives_the_loss_and_gradients_of_keras(changes: dict[str, Any]) -> None:
    network = build(**changes)

    def gradients(token_ids: Any, label_ids: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(network, token_ids, label_ids)
        variables = [variable.value for variable in network.trainable_variables]
        return [value, *map(tf.convert_to_tensor, tape.gradient(value, variables))]

    shapes = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)]
    keras_loop, fast_loop = (tf.function(gradients, input_signature=shapes) for _ in range(2))
    keras_loop.get_concrete_function()
    with fast_lstm(network):
        fast_loop.get_concrete_function()
    rng = np.random.default_rng(3)
    for rows, tokens in ((8, 6), (3, 9), (1, 1), (20, 2)):
        data = batch(rng, rows=rows, tokens=tokens)
        for found, expected in zip(fast_loop(*data), keras_loop(*data), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_loop_is_compiled_each_time_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_function = numba.njit

    def without_cache(*, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return compile_function(**options)

    def double(values: Any) -> None:
        for n in range(len(values)):
            values[n] *= 2

    monkeypatch.setattr(lstm_loop.numba, "njit", without_cache)
    values = np.array([1, 2], np.float32)
    lstm_loop._compiled(double)(values)
    assert values.tolist() == [2, 4]


@pytest.mark.parametrize("relu", [True, False])
def test_a_training_that_diverges_is_seen(relu: bool) -> None:
    loop = lstm_loop._Loop(relu=relu)
    inputs = np.zeros((3, 4, 8), np.float32)
    inputs[1, 2] = np.nan
    outputs = loop._run(lstm_loop._forward, 2, inputs, np.full(3, 4, np.int32), np.ones((1, 2, 8), np.float32))
    assert np.isnan(outputs[1, 2:]).all() and np.isfinite(outputs[[0, 2]]).all() and np.isfinite(outputs[1, :2]).all()


def test_hyperbolic_tangents_are_those_of_numpy_to_float32() -> None:
    values = np.concatenate([np.linspace(-10, 10, 20_001), [0, 1e-20, 1e9, -1e9]]).astype(np.float32)
    found = np.array([lstm_loop._tanh(value) for value in values])
    np.testing.assert_allclose(found, np.tanh(values.astype(np.float64)), rtol=0, atol=4e-7)


def test_the_fast_loop_leaves_the_network_as_it_was() -> None:
    network = build()
    with fast_lstm(network):
        pass
    assert "call" not in vars(network.get_layer("bidirectional_1"))


def train_by_rows(network: keras.Model, steps: int) -> Optimizer:
    optimizer = Optimizer(network, rate=3e-3, clip_norm=1.0, momentum=0.98)

    @tf.function
    def step(*data: Any) -> None:
        optimizer.minimize(lambda: loss(network, *data))

    rng = np.random.default_rng(5)
    for _ in range(steps):
        step(*batch(rng))
    optimizer.catch_up()
    return optimizer


def train_densely(network: keras.Model, steps: int) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(3e-3, global_clipnorm=1.0, use_ema=True, ema_momentum=0.98)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(*data: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(network, *data)
        variables = network.trainable_variables
        gradients = tape.gradient(value, [variable.value for variable in variables])
        optimizer.apply(list(map(tf.convert_to_tensor, gradients)), variables)

    rng = np.random.default_rng(5)
    for _ in range(steps):
        step(*batch(rng))
    return optimizer


def test_updates_of_rows_give_the_weights_and_averages_of_dense_adam() -> None:
    by_rows, dense, start = build(), build(), build()
    rows, expected = train_by_rows(by_rows, 300), train_densely(dense, 300)

    def close(found: Any, wanted: Any, before: Any) -> None:
        moved = np.abs(np.array(wanted) - before).max()
        assert np.abs(np.array(found) - wanted).max() <= 0.06 * moved

    for found, wanted, before in zip(by_rows.weights, dense.weights, start.weights, strict=True):
        close(found, wanted, before)
    with rows.averaged():
        expected.finalize_variable_values(dense.trainable_variables)
        for found, wanted, before in zip(by_rows.weights, dense.weights, start.weights, strict=True):
            close(found, wanted, before)


def test_an_adversarial_step_adds_the_gradients_of_the_same_texts_with_moved_word_vectors() -> None:
    found, expected = build(), build()
    token_ids = tf.constant(np.random.default_rng(2).integers(1, VOCAB_SIZE, (4, 5)), tf.int32)  # Nothing is padded.
    label_ids = tf.constant([0, 1, 2, 1])
    optimizer = Optimizer(found, rate=3e-3, clip_norm=1.0, momentum=0.0)
    step = partial(optimizer.minimize, partial(loss, found, token_ids, label_ids), adversarial=0.7)
    tf.function(step, autograph=False)()

    embedding = expected.get_layer("embedding")
    variables = [variable.value for variable in expected.trainable_variables]

    def gradients(move: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            embedded = tf.gather(variables[0], token_ids)
            embedding.call = lambda _: embedded + move
            value = loss(expected, token_ids, label_ids)
            del embedding.call
        slope, *rows = tape.gradient(value, [embedded, *variables])
        return slope, list(map(tf.convert_to_tensor, rows))

    slope, first = gradients(0.0)
    vectors = tf.gather(variables[0], token_ids).numpy()
    unit = slope.numpy() / np.linalg.norm(slope.numpy().reshape(4, -1), axis=1)[:, None, None]
    second = gradients(0.7 * np.linalg.norm(vectors, axis=-1).mean() * unit)[1]
    adam = keras.optimizers.Adam(3e-3, global_clipnorm=1.0)
    adam.apply([one + other for one, other in zip(first, second, strict=True)], expected.trainable_variables)
    for ours, theirs in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)


NETWORK = build()


@settings(max_examples=15, deadline=None)
@given(missed=st.integers(0, 400), since=st.integers(20, 2_000), momentum=st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999]))
def test_a_row_that_no_batch_read_follows_the_steps_of_adam_without_a_gradient(
    missed: int, since: int, momentum: float
) -> None:
    optimizer = Optimizer(NETWORK, rate=3e-3, clip_norm=0, momentum=momentum)
    rng = np.random.default_rng(missed)
    parts = [rng.normal(size=(VOCAB_SIZE, 6)) for _ in range(4)]
    parts[1], parts[2] = parts[1] * 1e-3, np.abs(parts[2]) * 1e-5
    for variable, part in zip((NETWORK.get_layer("embedding").embeddings, *optimizer.rows), parts, strict=True):
        variable.assign(part.astype(np.float32))
    optimizer.last.assign(np.full(VOCAB_SIZE, since, np.int32))
    optimizer.step.assign(since + missed)
    optimizer.catch_up()
    weights, m, v, average = parts
    for step in range(since + 1, since + missed + 1):
        m, v = 0.9 * m, 0.999 * v
        rate = 3e-3 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights = weights - rate * m / (np.sqrt(v) + 1e-7)
        average = momentum * average + (1 - momentum) * weights
    found = (NETWORK.get_layer("embedding").embeddings, *optimizer.rows)
    moved = np.abs(weights - parts[0]).max() + 1e-6
    np.testing.assert_allclose(found[0], weights, rtol=0, atol=0.1 * moved)
    np.testing.assert_allclose(found[1], m, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(found[2], v, rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(found[3], average, rtol=0, atol=0.1 * moved + 1e-5)


@pytest.mark.parametrize(
    ("rows", "expected"), [(1, 32), (1_000, 32), (4_600, 32), (18_000, 64), (40_000, 128), (1_000_000, 512)]
)
def test_the_batch_size_follows_from_the_rows(rows: int, expected: int) -> None:
    assert TrainingConfig(batch_size=0).for_rows(rows).batch_size == expected
    assert TrainingConfig(batch_size=48).for_rows(rows).batch_size == 48


@pytest.mark.parametrize(("rows", "moves", "epochs"), [(9_999, 1, 3), (10_000, 0, 2)])
def test_small_data_is_trained_adversarially_and_with_patience(rows: int, moves: float, epochs: int) -> None:
    assert (TrainingConfig().for_rows(rows).adversarial, TrainingConfig().for_rows(rows).patience) == (moves, epochs)
    assert TrainingConfig(adversarial=0.5).for_rows(rows).adversarial == 0.5
    assert TrainingConfig(patience=7).for_rows(rows).patience == 7
