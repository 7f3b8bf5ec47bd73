"""Warm start: what means the same is taken over, the rest is fresh. Slow: TensorFlow is loaded."""

import numpy as np

from lstm_model.config.model import ModelConfig
from lstm_model.network.network import build_network
from lstm_model.network.warm_start import take_over

SMALL = ModelConfig(embedding_dim=4, lstm_units=3, dense_units=5)
VOCAB = {"[PAD]": 0, "[UNK]": 1, "goal": 2, "rates": 3}
OTHER = {"[PAD]": 0, "[UNK]": 1, "rates": 2, "comet": 3, "goal": 4}


def networks(donor: ModelConfig = SMALL) -> tuple[object, object]:
    ours = build_network(SMALL, vocab_size=len(VOCAB), num_classes=2, seed=1)
    theirs = build_network(donor, vocab_size=len(OTHER), num_classes=3, seed=2)
    return ours, theirs


def start(ours: object, theirs: object) -> tuple[int, list[str]]:
    return take_over(
        ours,
        theirs,
        vocab=VOCAB,
        donor_vocab=OTHER,
        labels=["sports", "world"],
        donor_labels=["arts", "world", "sports"],
    )


def test_rows_go_by_token_and_output_columns_by_label() -> None:
    ours, theirs = networks()
    tokens, layers = start(ours, theirs)
    table, given = (network.get_layer("embedding").get_weights()[0] for network in (ours, theirs))
    np.testing.assert_array_equal(table[[0, 1, 2, 3]], given[[0, 1, 4, 2]])
    kernel, bias = ours.get_layer("logits").get_weights()
    their_kernel, their_bias = theirs.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, their_kernel[:, [2, 1]])
    np.testing.assert_array_equal(bias, their_bias[[2, 1]])
    for one, two in zip(
        ours.get_layer("bidirectional_1").get_weights(), theirs.get_layer("bidirectional_1").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    assert (tokens, layers) == (4, ["embedding", "bidirectional_1", "dense", "logits"])


def test_what_has_no_counterpart_stays_fresh() -> None:
    ours, theirs = networks(ModelConfig(embedding_dim=4, lstm_units=6, dense_units=5))
    fresh = ours.get_layer("bidirectional_1").get_weights()
    _, layers = start(ours, theirs)
    for one, two in zip(ours.get_layer("bidirectional_1").get_weights(), fresh, strict=True):
        np.testing.assert_array_equal(one, two)
    assert layers == ["embedding", "logits"]


def test_another_width_of_embedding_gives_no_tokens() -> None:
    ours, theirs = networks(ModelConfig(embedding_dim=8, lstm_units=3, dense_units=5))
    assert start(ours, theirs)[0] == 0
