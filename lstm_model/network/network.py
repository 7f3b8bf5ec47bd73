"""The network as Keras layers: embedding, LSTM layers, masked pooling, dense head. Loads TensorFlow."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers, ops

from lstm_model.config.model import ModelConfig
from lstm_model.tokens.text_encoder import UNK_ID


@keras.saving.register_keras_serializable("lstm_text")
class WordDropout(layers.Layer):  # type: ignore[misc]
    """Replaces a share of the tokens with [UNK] in training, so that [UNK] is learned and no single word decides.

    token_ids: int32[B, L] -> int32[B, L]; padding stays. Dai and Le 2015, "Semi-supervised sequence learning".
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, token_ids: Any, training: bool | None = None) -> Any:
        if not training:
            return token_ids
        drop = keras.random.uniform(ops.shape(token_ids), seed=self.seed_generator) < self.rate
        return ops.where(ops.logical_and(drop, token_ids != 0), UNK_ID, token_ids)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("lstm_text")
class MaskedPooling(layers.Layer):  # type: ignore[misc]
    """Maximum or mean over the tokens of each row, without padding: float32[B, L, H] -> float32[B, H]."""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.supports_masking = True

    def call(self, states: Any, mask: Any = None) -> Any:
        inside = ops.expand_dims(mask, -1)
        if self.kind == "max":
            return ops.max(ops.where(inside, states, float("-inf")), axis=1)
        weights = ops.cast(inside, states.dtype)
        return ops.sum(states * weights, axis=1) / ops.sum(weights, axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None  # One vector per row needs no mask.

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def build_network(config: ModelConfig, *, vocab_size: int, num_classes: int, seed: int) -> keras.Model:
    """Return the untrained network: token_ids int32[B, L], right-padded with 0 -> logits float32[B, C].

    The loss and the classifier apply the softmax; the classifier divides by a temperature first. `seed` sets the
    initial weights; `training.reseed` reseeds dropout each epoch.
    """
    # Keras would draw seeds from Python's global generator, which other threads (Prefect's) also use.
    draw = partial(random.Random(seed).randint, 1, 10**9)
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    words = WordDropout(config.word_dropout_rate, seed=draw(), name="word_dropout")(token_ids)
    table = keras.initializers.RandomUniform(seed=draw())
    embedding = {"embeddings_initializer": table, "mask_zero": True, "name": "embedding"}
    states = embedded = layers.Embedding(vocab_size, config.embedding_dim, **embedding)(words)
    for number in range(1, config.lstm_layers + 1):
        top = number == config.lstm_layers
        states = _lstm(config, number, draw, return_sequences=not top or config.pooling != "last")(states)
        if not top:
            states = layers.Dropout(config.dropout_rate, seed=draw(), name=f"dropout_{number}")(states)
    hidden = states if config.pooling == "last" else MaskedPooling(config.pooling, name="pool_states")(states)
    if config.embedding_skip:  # Not with pooling=last.
        skipped = MaskedPooling(config.pooling, name="pool_embeddings")(embedded)
        hidden = layers.Concatenate(name="pooled")([hidden, skipped])
    hidden = layers.Dropout(config.dropout_rate, seed=draw(), name="dropout_pooled")(hidden)
    if config.dense_units:
        hidden = _dense(config.dense_units, "dense", draw, activation="relu")(hidden)
        hidden = layers.Dropout(config.dropout_rate, seed=draw(), name="dropout_dense")(hidden)
    logits = _dense(num_classes, "logits", draw)(hidden)
    return keras.Model(token_ids, logits, name="lstm_text")


def _dense(units: int, name: str, draw: Callable[[], int], activation: str | None = None) -> layers.Layer:
    kernel = keras.initializers.GlorotUniform(seed=draw())
    return layers.Dense(units, activation=activation, kernel_initializer=kernel, name=name)


def _lstm(config: ModelConfig, number: int, draw: Callable[[], int], *, return_sequences: bool) -> layers.Layer:
    def direction(name: str, *, go_backwards: bool = False) -> layers.Layer:
        return layers.LSTM(
            config.lstm_units,
            activation=config.activation,
            kernel_initializer=keras.initializers.GlorotUniform(seed=draw()),
            recurrent_initializer=keras.initializers.Orthogonal(seed=draw()),
            seed=draw(),
            return_sequences=return_sequences,
            go_backwards=go_backwards,
            name=name,
        )

    if not config.bidirectional:
        return direction(f"lstm_{number}")
    # Keras would copy the backward layer from the forward one, with equal initial weights. The unused layer only draws
    # seeds, so that networks keep the initial weights of earlier releases.
    direction("pattern")
    forward, backward = direction(f"lstm_{number}"), direction(f"backward_lstm_{number}", go_backwards=True)
    return layers.Bidirectional(forward, backward_layer=backward, name=f"bidirectional_{number}")
