"""Temperatures: found where they are known, kept where they help others than the rows they were fitted on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.classifier.calibration import HIGHEST, LOWEST, calibrate, fit_temperature, log_loss_at


def rows(count: int, *, temperature: float, classes: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return logits: float32[N, C], and label_ids: int64[N] drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    draws = logits / temperature + rng.gumbel(size=logits.shape)  # The largest is a draw from the softmax.
    return logits.astype(np.float32), draws.argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature: float) -> None:
    logits, label_ids = rows(20_000, temperature=temperature)
    assert fit_temperature(logits=logits, label_ids=label_ids) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_has_a_lower_loss_on_many_rows() -> None:
    logits, label_ids = rows(5_000, temperature=1.7)
    fitted = fit_temperature(logits=logits, label_ids=label_ids)
    losses = {t: log_loss_at(logits, label_ids, np.full(5_000, t)) for t in (fitted, 0.9 * fitted, 1.1 * fitted, 1.0)}
    assert min(losses, key=losses.__getitem__) == fitted


@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_a_temperature_that_helps_is_kept(temperature: float) -> None:
    logits, label_ids = rows(600, temperature=temperature)
    found = calibrate(logits=logits, label_ids=label_ids)
    assert found.temperature_kept and found.temperature == pytest.approx(temperature, rel=0.15)
    assert found.log_loss_after < found.log_loss_before == pytest.approx(log_loss_at(logits, label_ids, np.ones(600)))


def test_a_temperature_that_only_fits_the_noise_is_not_kept() -> None:
    kept = []
    for seed in range(40):
        logits, label_ids = rows(40, temperature=1.0, seed=seed)
        found = calibrate(logits=logits, label_ids=label_ids)
        assert found.temperature == (found.temperature_fitted if found.temperature_kept else 1.0)
        kept.append(found.temperature_kept)
    assert sum(kept) < 20  # Judged on the rows it was fitted on, it would be kept every time.


def test_a_few_rows_that_are_all_right_do_not_ask_for_certainty() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    fitted = fit_temperature(logits=logits, label_ids=np.array([0, 1, 0, 1]))
    # Softened labels: right is 1 - 1/6 + 1/12 = 11/12, which logits of 2 / T give at T = 2 / log(11).
    assert fitted == pytest.approx(2 / np.log(11), rel=1e-6)


def test_it_is_left_alone_where_it_is_not_wanted() -> None:
    logits, label_ids = rows(500, temperature=3.0)
    found = calibrate(logits=logits, label_ids=label_ids, wanted=False)
    assert (found.temperature, found.temperature_kept) == (1.0, False)
    assert found.log_loss_after == found.log_loss_before


def test_one_row_is_too_few_to_judge_by() -> None:
    assert not calibrate(logits=np.array([[3.0, 1.0]]), label_ids=np.array([1])).temperature_kept


@given(count=st.integers(2, 12), scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3, 1e30]), seed=st.integers(0, 99))
def test_any_logits_give_a_temperature_in_range_and_change_no_label(count: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (scale * rng.normal(size=(count, 3))).astype(np.float32)
    found = calibrate(logits=logits, label_ids=rng.integers(0, 3, count))
    assert LOWEST * 0.99 <= found.temperature_fitted <= HIGHEST * 1.01
    assert np.isfinite([found.log_loss_before, found.log_loss_after]).all()
    assert np.array_equal((logits / np.float32(found.temperature)).argmax(1), logits.argmax(1))
