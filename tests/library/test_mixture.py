"""The weights of the parts: what helps on validation rows counts, what does not is left out, the LSTM stays."""

from dataclasses import replace

import numpy as np
import pytest

from lstm_model.classifier.calibration import log_loss_at
from lstm_model.classifier.classifier import mix
from lstm_model.classifier.mixture import add_bayes, fit_mixture

LABEL_IDS = np.arange(300) % 3


def part(skill: float, seed: int, *, scale: float = 1.0) -> np.ndarray:
    """Return float32[300, 3]: noise, and `skill` more for the right label."""
    noise = np.random.default_rng(seed).normal(0, 1, (300, 3))
    noise[np.arange(300), LABEL_IDS] += skill
    return (scale * noise).astype(np.float32)


def test_two_parts_with_different_mistakes_are_better_together() -> None:
    parts = {"lstm": part(1.5, 1), "words": part(1.5, 2, scale=0.01)}
    found = fit_mixture(parts, LABEL_IDS)
    ratio = found.weights["words"] / found.weights["lstm"]
    assert ratio == pytest.approx(100, rel=0.3)  # The scale of a part does not matter.
    assert found.log_losses["lstm + words"] < found.log_losses["lstm"]
    right = (mix(parts, found.weights).argmax(axis=1) == LABEL_IDS).mean()
    assert right > max((values.argmax(axis=1) == LABEL_IDS).mean() for values in parts.values())
    assert sum(found.shares.values()) == pytest.approx(1)


def test_a_part_that_knows_nothing_is_left_out() -> None:
    found = fit_mixture({"lstm": part(3, 1), "words": part(0, 2), "characters": part(3, 3)}, LABEL_IDS)
    assert set(found.weights) == set(found.shares) == {"lstm", "characters"}
    assert set(found.log_losses) == {"lstm", "lstm + words", "lstm + characters", "lstm + words + characters"}


def test_the_lstm_stays_with_a_small_share_where_it_knows_nothing() -> None:
    parts = {"lstm": part(0, 1), "words": part(4, 2, scale=0.1)}
    found = fit_mixture(parts, LABEL_IDS)
    assert found.shares["lstm"] < 0.1
    # Without a temperature: a weight of 1 for the LSTM would make the others as large as its own is small.
    loss = log_loss_at(mix(parts, found.weights), LABEL_IDS, np.ones(300))
    assert loss == pytest.approx(found.log_losses["lstm + words"], abs=0.02)


def test_the_weights_minimise_the_log_loss() -> None:
    parts = {"lstm": part(1.5, 1), "words": part(1, 2)}
    found = fit_mixture(parts, LABEL_IDS)

    def loss(**factors: float) -> float:
        weights = {name: weight * factors.get(name, 1) for name, weight in found.weights.items()}
        return log_loss_at(mix(parts, weights), LABEL_IDS, np.ones(300))

    assert all(loss() < loss(**{name: factor}) for name in parts for factor in (0.8, 1.25))


@pytest.mark.parametrize(("skill", "wanted"), [(0, 0.0), (3, 1.0)])
def test_naive_bayes_counts_where_it_helps(skill: float, wanted: float) -> None:
    parts, bayes = {"lstm": part(1.5, 1), "words": part(1.5, 2)}, {"words": part(skill, 3)}
    found = fit_mixture(parts, LABEL_IDS, bayes)
    assert found.bayes == wanted
    assert found == replace(fit_mixture(add_bayes(parts, bayes, wanted), LABEL_IDS), bayes=wanted)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_handful_of_rows_gives_finite_weights(rows: int) -> None:
    parts = {"lstm": part(1, 1)[:rows], "words": part(1, 2)[:rows]}
    found = fit_mixture(parts, LABEL_IDS[:rows])
    assert np.isfinite([*found.weights.values(), *found.shares.values()]).all()


def test_the_lstm_alone_needs_no_weight() -> None:
    assert fit_mixture({"lstm": part(1, 1)}, LABEL_IDS).weights == {}
