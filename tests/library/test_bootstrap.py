"""Bootstrap intervals: against resampled rows, paired, repeatable."""

import numpy as np
import pytest

from lstm_model.evaluation.bootstrap import Resampling, bootstrap, interval
from lstm_model.evaluation.metrics import macro_f1

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 3, 400)
GOOD = np.where(RNG.random(400) < 0.8, LABELS, RNG.integers(0, 3, 400))
FAIR = np.where(RNG.random(400) < 0.6, LABELS, RNG.integers(0, 3, 400))


def test_drawing_cells_is_drawing_rows() -> None:
    drawn = bootstrap(label_ids=LABELS, predictions={"good": GOOD}, num_classes=3, resampling=Resampling(rounds=4_000))[
        "good"
    ]["macro_f1"]
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 400, 400) for _ in range(2_000)]
    resampled = [macro_f1(label_ids=LABELS[some], predicted_ids=GOOD[some], num_classes=3) for some in rows]
    assert drawn.mean() == pytest.approx(np.mean(resampled), abs=0.002)
    assert drawn.std() == pytest.approx(np.std(resampled), rel=0.08)
    assert interval(drawn, 0.95) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.006)


def test_equal_predictors_never_differ_and_a_better_one_nearly_always_is() -> None:
    drawn = bootstrap(
        label_ids=LABELS,
        predictions={"good": GOOD, "twin": GOOD, "fair": FAIR},
        num_classes=3,
        resampling=Resampling(),
    )
    assert np.array_equal(drawn["good"]["f1"], drawn["twin"]["f1"])
    assert (drawn["good"]["macro_f1"] > drawn["fair"]["macro_f1"]).mean() > 0.99


def test_equal_seeds_give_equal_intervals_and_other_seeds_others() -> None:
    first, second, other = (
        interval(
            bootstrap(label_ids=LABELS, predictions={"good": GOOD}, num_classes=3, resampling=Resampling(seed=seed))[
                "good"
            ]["accuracy"],
            0.95,
        )
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_a_prediction_outside_the_labels_counts_as_wrong() -> None:
    drawn = bootstrap(
        label_ids=np.array([0, 1, 1]),
        predictions={"lost": np.array([-1, -1, -1])},
        num_classes=2,
        resampling=Resampling(rounds=10),
    )["lost"]
    assert drawn["accuracy"].max() == drawn["macro_f1"].max() == 0


def test_a_class_that_no_resampled_row_has_gets_zero() -> None:
    f1 = bootstrap(
        label_ids=np.array([0, 0]),
        predictions={"one": np.array([0, 0])},
        num_classes=2,
        resampling=Resampling(rounds=5),
    )["one"]["f1"]
    assert f1.tolist() == [[1.0, 0.0]] * 5


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows to resample"):
        bootstrap(label_ids=np.array([], int), predictions={}, num_classes=2, resampling=Resampling())
