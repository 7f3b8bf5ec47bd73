"""Initial weights from a trained network, where both networks have the same parts. Loads TensorFlow."""

from collections.abc import Mapping, Sequence

import keras


def take_over(
    network: keras.Model,
    donor: keras.Model,
    *,
    vocab: Mapping[str, int],
    donor_vocab: Mapping[str, int],
    labels: Sequence[str],
    donor_labels: Sequence[str],
) -> tuple[int, list[str]]:
    """Copy weights of `donor` to `network`, in place: rows of the embedding by token, columns of the output by label.

    Any other layer is copied whole if its shapes are equal. Everything else keeps its initial weights. Returns the
    number of copied rows of the embedding, and the names of the copied layers.
    """
    tokens, their_tokens = _shared(vocab, donor_vocab)
    columns, their_columns = _shared(*({label: i for i, label in enumerate(names)} for names in (labels, donor_labels)))
    donors, copied = {layer.name: layer for layer in donor.layers}, []
    for layer in network.layers:
        if not layer.weights or layer.name not in donors:
            continue
        ours, theirs = (one.get_weights() for one in (layer, donors[layer.name]))
        if layer.name == "embedding" and ours[0].shape[1] == theirs[0].shape[1]:
            ours[0][tokens] = theirs[0][their_tokens]
        elif layer.name == "logits" and ours[0].shape[0] == theirs[0].shape[0]:
            ours[0][:, columns], ours[1][columns] = theirs[0][:, their_columns], theirs[1][their_columns]
        elif [weight.shape for weight in ours] == [weight.shape for weight in theirs]:
            ours = theirs
        else:
            continue
        layer.set_weights(ours)
        copied.append(layer.name)
    return len(tokens) if "embedding" in copied else 0, copied


def _shared(ours: Mapping[str, int], theirs: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Return the places in both of the names that both have."""
    names = [name for name in ours if name in theirs]
    return [ours[name] for name in names], [theirs[name] for name in names]
