"""Fitting: the same numbers every time, interrupted or not, and the best epoch's weights at the end."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_model.classifier.classifier import softmax
from lstm_model.config.model import ModelConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.evaluation.metrics import log_loss
from lstm_model.network.network import build_network
from lstm_model.network.training import History, class_weights, epoch_batches, predict_logits, train_network
from lstm_model.tokens.encoded_rows import EncodedRows, pad_batch

VOCAB_SIZE, NUM_CLASSES = 20, 3


def encoded(rows: list[tuple[list[int], int]]) -> EncodedRows:
    token_ids = np.array([token for tokens, _ in rows for token in tokens], dtype=np.int32)
    offsets = np.cumsum([0, *(len(tokens) for tokens, _ in rows)]).astype(np.int64)
    return EncodedRows(token_ids, offsets, np.array([label for _, label in rows], dtype=np.int32))


def random_rows(count: int, *, seed: int) -> EncodedRows:
    """Rows of 1 to 7 tokens; token 2, 3 or 4 among them gives the label, except in one row of eight."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = number % NUM_CLASSES
        tokens = rng.integers(5, VOCAB_SIZE, rng.integers(1, 8)).tolist()
        tokens[int(rng.integers(len(tokens)))] = 2 + label
        rows.append((tokens, label if number % 8 else (label + 1) % NUM_CLASSES))
    return encoded(rows)


TRAIN, VALIDATION = random_rows(72, seed=1), random_rows(30, seed=2)


def build(**changes: object) -> keras.Model:
    values = {
        "embedding_dim": 5,
        "lstm_layers": 1,
        "lstm_units": 4,
        "bidirectional": True,
        "activation": "tanh",
        "pooling": "max",
        "embedding_skip": True,
        "dense_units": 6,
        "dropout_rate": 0.2,
        "word_dropout_rate": 0.1,
    }
    config = ModelConfig.model_validate(values | changes)
    return build_network(config, vocab_size=VOCAB_SIZE, num_classes=NUM_CLASSES, seed=7)


def settings(**changes: object) -> TrainingConfig:
    values = {
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.02,
        "average_epochs": 1.0,
        "gradient_clip_norm": 1.0,
        "patience": 10,
        "monitor": "log_loss",
        "class_weights": "none",
        "seed": 7,
    }
    return TrainingConfig.model_validate(values | changes)


@dataclass
class Run:
    """A training of four epochs that nothing interrupted."""

    network: keras.Model
    history: History
    checkpoint: Path
    batches: list[tuple[int, int, int]]
    epochs: list[int]

    def assert_same(self, network: keras.Model, history: History) -> None:
        assert history == self.history
        for found, wanted in zip(network.get_weights(), self.network.get_weights(), strict=True):
            np.testing.assert_array_equal(found, wanted)


def train(checkpoint: Path) -> Run:
    run = Run(build(), History(), checkpoint, [], [])
    run.history = train_network(
        run.network,
        TRAIN,
        VALIDATION,
        settings(),
        checkpoint=checkpoint,
        on_batch=lambda *progress: run.batches.append(progress),
        on_epoch=lambda epoch, figures: run.epochs.append(epoch),
    )
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("run") / "state")


class Interruption(Exception):  # noqa: N818  it is no error
    """Stands for a killed process."""


def interrupt_after_epoch_2(epoch: int, figures: dict[str, float]) -> None:
    if epoch == 2:
        raise Interruption


def interrupt_inside_epoch_3(epoch: int, done: int, total: int) -> None:
    if (epoch, done) == (3, 2):
        raise Interruption


@pytest.fixture(scope="module")
def epoch_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training that was interrupted after epoch 2."""
    checkpoint = tmp_path_factory.mktemp("interrupted") / "state"
    with pytest.raises(Interruption):
        train_network(build(), TRAIN, VALIDATION, settings(), checkpoint=checkpoint, on_epoch=interrupt_after_epoch_2)
    return checkpoint


def test_two_runs_are_bit_identical_with_or_without_checkpoints(run: Run) -> None:
    network = build()
    run.assert_same(network, train_network(network, TRAIN, VALIDATION, settings()))


@pytest.mark.parametrize("killed_between_renames", [False, True])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    run: Run, epoch_2: Path, tmp_path: Path, killed_between_renames: bool
) -> None:
    # A checkpoint is replaced by two renames: state -> state.old, state.new -> state.
    shutil.copytree(epoch_2, tmp_path / ("state.old" if killed_between_renames else "state"))
    if killed_between_renames:
        (tmp_path / "state.new").mkdir()
    resumed = train(tmp_path / "state")
    run.assert_same(resumed.network, resumed.history)
    assert {epoch for epoch, _, _ in resumed.batches} == {3, 4}
    assert resumed.epochs == [1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_an_epoch_that_was_interrupted_leaves_the_checkpoint_of_the_one_before(epoch_2: Path, tmp_path: Path) -> None:
    with pytest.raises(Interruption):
        train_network(
            build(), TRAIN, VALIDATION, settings(), checkpoint=tmp_path / "state", on_batch=interrupt_inside_epoch_3
        )
    assert (tmp_path / "state" / "history.json").read_text() == (epoch_2 / "history.json").read_text()
    with np.load(tmp_path / "state" / "state.npz") as found, np.load(epoch_2 / "state.npz") as expected:
        assert found.files == expected.files
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_a_finished_training_is_not_repeated(run: Run) -> None:
    again = train(run.checkpoint)
    run.assert_same(again.network, again.history)
    assert (again.batches, again.epochs) == ([], [1, 2, 3, 4])


def test_figures_of_an_epoch_are_named_and_batches_counted(run: Run) -> None:
    assert run.batches == [(epoch, done, 5) for epoch in (1, 2, 3, 4) for done in (1, 2, 3, 4, 5)]
    assert run.epochs == [1, 2, 3, 4]
    assert list(run.history.epochs[0]) == [
        "train_loss",
        "train_accuracy",
        "validation_log_loss",
        "validation_accuracy",
        "validation_macro_f1",
    ]


# To renew these after a change that is meant to change them: run the test below with -vv and copy what it found.
GOLDEN_TRAIN_LOSSES = [1.09748, 1.08589, 1.05451, 0.99639]
GOLDEN_VALIDATION_LOSSES = [1.09062, 1.08171, 1.04901, 0.99348]


def test_golden_losses(run: Run) -> None:
    """A refactor proves here that it changed nothing."""
    epochs = run.history.epochs
    assert [epoch["train_loss"] for epoch in epochs] == pytest.approx(GOLDEN_TRAIN_LOSSES, abs=1e-4)
    assert [epoch["validation_log_loss"] for epoch in epochs] == pytest.approx(GOLDEN_VALIDATION_LOSSES, abs=1e-4)


def test_another_seed_gives_other_figures(run: Run) -> None:
    history = train_network(build(), TRAIN, VALIDATION, settings(epochs=1, seed=8))
    assert history.epochs[0]["train_loss"] != run.history.epochs[0]["train_loss"]


@pytest.mark.parametrize("monitor", ["log_loss", "macro_f1"])
def test_early_stopping_restores_the_best_epoch(monitor: str) -> None:
    # Steps so large that the validation figure soon gets worse.
    config = settings(epochs=40, learning_rate=0.3, average_epochs=0, patience=2, monitor=monitor)
    network = build()
    history = train_network(network, TRAIN, VALIDATION, config)
    figures = [epoch[f"validation_{monitor}"] for epoch in history.epochs]
    best = min(figures) if monitor == "log_loss" else max(figures)
    assert history.best_epoch == figures.index(best) + 1
    assert len(history.epochs) == history.best_epoch + 2 < 40
    probabilities = softmax(predict_logits(network, VALIDATION))
    found = log_loss(label_ids=VALIDATION.label_ids, probabilities=probabilities)
    assert found == history.epochs[history.best_epoch - 1]["validation_log_loss"]
    assert found != history.epochs[-1]["validation_log_loss"]


@pytest.mark.parametrize("pooling", ["max", "last"])
def test_one_step_changes_every_parameter(pooling: str) -> None:
    changes = {"lstm_layers": 2, "pooling": pooling, "embedding_skip": pooling != "last"}
    network = build(**changes, dropout_rate=0, word_dropout_rate=0)
    for variable in network.trainable_variables:  # No unit of the dense layer may be switched off from the start.
        if variable.path.startswith("dense/"):
            variable.assign(np.abs(variable.numpy()) + 0.1)
    before = {variable.path: variable.numpy() for variable in network.trainable_variables}
    train_network(network, TRAIN, VALIDATION, settings(epochs=1, batch_size=len(TRAIN), average_epochs=0))
    assert len(before) == len(network.trainable_variables) > 10
    for variable in network.trainable_variables:
        changed = variable.numpy() != before[variable.path]
        if variable.path.startswith("embedding/"):
            seen = sorted(set(TRAIN.token_ids.tolist()))
            assert changed[seen].any(axis=1).all()
            assert not np.delete(changed, seen, axis=0).any()  # [PAD], and tokens that no row holds.
        else:
            assert changed.mean() > 0.95, variable.path


def test_the_average_is_judged_and_kept_while_training_goes_on_from_the_weights_themselves(run: Run) -> None:
    plain = train_network(build(), TRAIN, VALIDATION, settings(average_epochs=0)).epochs
    for one, averaged in zip(plain, run.history.epochs, strict=True):
        assert one["train_loss"] == pytest.approx(averaged["train_loss"], abs=1e-6)
        assert abs(one["validation_log_loss"] - averaged["validation_log_loss"]) > 1e-4


def test_balanced_weights_are_in_inverse_proportion_to_the_rows() -> None:
    label_ids = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2], dtype=np.int32)
    weights = class_weights(label_ids, 3, "balanced")
    np.testing.assert_allclose(weights, [10 / 18, 10 / 6, 10 / 6], rtol=1e-6)
    assert weights[label_ids].mean() == pytest.approx(1)
    assert class_weights(label_ids, 3, "none").tolist() == [1, 1, 1]
    assert np.isfinite(class_weights(label_ids, 4, "balanced")).all()


def test_balanced_weights_make_a_rare_label_predicted_more() -> None:
    # The rows say nothing about their label, and one in ten has label 1.
    rows = encoded([([5, 6, 7], int(number % 10 == 0)) for number in range(60)])
    shares = []
    for kind in ("none", "balanced"):
        network = build(bidirectional=False, dense_units=0, dropout_rate=0, word_dropout_rate=0)
        train_network(network, rows, rows, settings(epochs=9, average_epochs=0, class_weights=kind, learning_rate=0.05))
        shares.append(float(softmax(predict_logits(network, rows.head(1)))[0, 1]))
    assert shares[0] < 0.25 < shares[1]


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=300),
    batch_size=st.integers(1, 9),
    epoch=st.integers(1, 50),
)
def test_every_row_is_in_one_batch_of_an_epoch(lengths: list[int], batch_size: int, epoch: int) -> None:
    batches = epoch_batches(np.array(lengths), batch_size, seed=3, epoch=epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size
    again = epoch_batches(np.array(lengths), batch_size, seed=3, epoch=epoch)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]


def test_epochs_and_seeds_differ_in_their_batches() -> None:
    lengths = np.arange(1, 101)
    orders = {
        str([batch.tolist() for batch in epoch_batches(lengths, 1, seed=seed, epoch=epoch)])
        for seed in (1, 2)
        for epoch in (1, 2)
    }
    assert len(orders) == 4


def test_batches_hold_rows_of_similar_length() -> None:
    lengths = np.random.default_rng(1).integers(1, 200, 3_000)
    batches = epoch_batches(lengths, 10, seed=1, epoch=1)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()


def test_logits_are_in_the_order_of_the_rows(run: Run) -> None:
    network = run.network
    together = predict_logits(network, VALIDATION)
    for place in (0, 7, 29):
        first, last = VALIDATION.offsets[place : place + 2]
        alone = network(VALIDATION.token_ids[None, first:last]).numpy()
        np.testing.assert_allclose(together[place], alone[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("monitor", "figures", "best"),
    [("log_loss", [0.9, 0.5, 0.5, 0.7], 2), ("macro_f1", [0.5, 0.9, 0.9, 0.7], 2), ("macro_f1", [0.5, 0.4], 1)],
)
def test_the_first_of_equally_good_epochs_is_best(monitor: str, figures: list[float], best: int) -> None:
    history = History()
    better = [history.add({f"validation_{monitor}": figure}, monitor) for figure in figures]
    assert history.best_epoch == best
    assert [number + 1 for number, is_best in enumerate(better) if is_best][-1] == best
    assert history.since_best() == len(figures) - best


def test_encoded_rows_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    TRAIN.save(tmp_path, "rows")
    loaded = EncodedRows.load(tmp_path, "rows")
    for name in ("token_ids", "offsets", "label_ids"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(TRAIN, name))
        assert getattr(loaded, name).dtype == getattr(TRAIN, name).dtype
        assert isinstance(getattr(loaded, name), np.memmap)  # Rows that do not fit into memory can be trained on.


def test_rows_on_disk_give_the_same_batches_as_rows_in_memory(tmp_path: Path) -> None:
    TRAIN.save(tmp_path, "rows")
    loaded = EncodedRows.load(tmp_path, "rows")
    batches = [
        [(pad_batch(rows.token_ids, rows.offsets, batch), rows.label_ids[batch]) for batch in order]
        for rows in (TRAIN, loaded)
        for order in [epoch_batches(rows.lengths, 32, seed=1, epoch=1)]
    ]
    for (token_ids, label_ids), (mapped_ids, mapped_labels) in zip(*batches, strict=True):
        assert not isinstance(mapped_ids, np.memmap)
        np.testing.assert_array_equal(mapped_ids, token_ids)
        np.testing.assert_array_equal(mapped_labels, label_ids)


def test_the_head_of_encoded_rows_is_their_first() -> None:
    rows = encoded([([5, 6], 0), ([7], 1), ([8, 9, 5], 2)])
    assert rows.lengths.tolist() == [2, 1, 3]
    head = rows.head(2)
    assert (len(head), head.token_ids.tolist(), head.lengths.tolist(), head.label_ids.tolist()) == (
        2,
        [5, 6, 7],
        [2, 1],
        [0, 1],
    )
    assert len(rows.head(9)) == 3


def test_frozen_rows_stay_to_the_last_bit_and_the_others_learn() -> None:
    frozen = np.arange(VOCAB_SIZE) % 2 == 0
    network = build()
    before = network.get_layer("embedding").get_weights()[0]
    train_network(network, TRAIN, VALIDATION, settings(epochs=2), frozen_rows=frozen)
    after = network.get_layer("embedding").get_weights()[0]
    np.testing.assert_array_equal(after[frozen], before[frozen])
    assert (after[3::2] != before[3::2]).any(axis=1).all()
