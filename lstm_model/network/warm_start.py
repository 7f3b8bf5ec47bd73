"""Initial weights from a trained network, where both networks have the same parts. Loads TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from lstm_model.arrays import Float32

Places = tuple[list[int], list[int]]  # Places in the network, and in the donor.


@dataclass(frozen=True)
class WarmStart:
    tokens: int  # Copied rows of the embedding.
    layers: list[str]  # Names of copied layers.


def take_over(
    network: keras.Model,
    donor: keras.Model,
    *,
    vocab: Mapping[str, int],
    donor_vocab: Mapping[str, int],
    labels: Sequence[str],
    donor_labels: Sequence[str],
) -> WarmStart:
    """Copy weights of `donor` to `network`, in place: rows of the embedding by token, columns of the output by label.

    Any other layer is copied whole if its shapes are equal. Everything else keeps its initial weights.
    """
    tokens = _shared(vocab, donor_vocab)
    columns = _shared(*({label: i for i, label in enumerate(names)} for names in (labels, donor_labels)))
    donors = {layer.name: layer for layer in donor.layers}
    copied: list[str] = []
    for layer in network.layers:
        if layer.weights and layer.name in donors:
            ours, theirs = ([np.array(weight) for weight in one.get_weights()] for one in (layer, donors[layer.name]))
            merged = _merged(layer.name, ours, theirs, tokens=tokens, columns=columns)
            if merged is not None:
                layer.set_weights(merged)
                copied.append(layer.name)
    return WarmStart(tokens=len(tokens[0]) if "embedding" in copied else 0, layers=copied)


def _merged(
    name: str, ours: list[Float32], theirs: list[Float32], *, tokens: Places, columns: Places
) -> list[Float32] | None:
    """Return the layer's weights with the donor's where they match, or None."""
    if name == "embedding" and ours[0].shape[1] == theirs[0].shape[1]:
        ours[0][tokens[0]] = theirs[0][tokens[1]]
        return ours
    if name == "logits" and ours[0].shape[0] == theirs[0].shape[0]:
        ours[0][:, columns[0]], ours[1][columns[0]] = theirs[0][:, columns[1]], theirs[1][columns[1]]
        return ours
    same = [weight.shape for weight in ours] == [weight.shape for weight in theirs]
    return theirs if same and name not in ("embedding", "logits") else None


def _shared(ours: Mapping[str, int], theirs: Mapping[str, int]) -> Places:
    """Return the places in both of the names that both have."""
    names = [name for name in ours if name in theirs]
    return [ours[name] for name in names], [theirs[name] for name in names]
