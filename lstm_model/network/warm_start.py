"""First weights from a trained network, as far as the two have parts in common. Loads TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Places = tuple[list[int], list[int]]  # Places here, and the donor's.


@dataclass(frozen=True)
class WarmStart:
    """What was taken over: rows of the embedding (tokens that both know), and names of layers; the rest is fresh."""

    tokens: int
    layers: list[str]


def take_over(
    network: keras.Model,
    donor: keras.Model,
    *,
    vocab: Mapping[str, int],
    donor_vocab: Mapping[str, int],
    labels: Sequence[str],
    donor_labels: Sequence[str],
) -> WarmStart:
    """Give `network` the weights of `donor` where they mean the same, in place.

    The embedding's rows go by token and the output's columns by label; another layer is taken whole if its sizes are
    the donor's. What has no counterpart keeps its fresh weights.
    """
    tokens = _shared(vocab, donor_vocab)
    columns = _shared(_places(labels), _places(donor_labels))
    donors = {layer.name: layer for layer in donor.layers if layer.weights}
    taken: list[str] = []
    for layer in network.layers:
        if layer.weights and layer.name in donors:
            ours, theirs = ([np.array(weight) for weight in one.get_weights()] for one in (layer, donors[layer.name]))
            merged = _merged(layer.name, ours, theirs, tokens=tokens, columns=columns)
            if merged is not None:
                layer.set_weights(merged)
                taken.append(layer.name)
    return WarmStart(tokens=len(tokens[0]) if "embedding" in taken else 0, layers=taken)


def _merged(
    name: str, ours: list[Array], theirs: list[Array], *, tokens: Places, columns: Places
) -> list[Array] | None:
    """Return the layer's weights with what can be taken over, or None."""
    if name == "embedding" and ours[0].shape[1] == theirs[0].shape[1]:
        ours[0][tokens[0]] = theirs[0][tokens[1]]
        return ours
    if name == "logits" and ours[0].shape[0] == theirs[0].shape[0]:
        ours[0][:, columns[0]], ours[1][columns[0]] = theirs[0][:, columns[1]], theirs[1][columns[1]]
        return ours
    same = [weight.shape for weight in ours] == [weight.shape for weight in theirs]
    return theirs if same and name not in ("embedding", "logits") else None


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _shared(ours: Mapping[str, int], theirs: Mapping[str, int]) -> Places:
    """Return the places here and there of what both hold."""
    names = [name for name in ours if name in theirs]
    return [ours[name] for name in names], [theirs[name] for name in names]
