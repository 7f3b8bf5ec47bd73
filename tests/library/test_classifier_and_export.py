"""Keras network -> ONNX graph -> served classifier: the same probabilities, whatever stands beside a row.

Slow (about 20 s): all 80 kinds of network are built in Keras, so that no branch of the export is taken on trust.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_model.classifier.answers import answer_table
from lstm_model.classifier.classifier import Classifier, ClassifierDescription, softmax
from lstm_model.config.model import ModelConfig
from lstm_model.config.pipeline import PRESETS, PipelineConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.errors import ModelError
from lstm_model.network.export import write_onnx
from lstm_model.network.network import build_network
from lstm_model.ngrams.counts import KINDS as NGRAM_KINDS
from lstm_model.ngrams.fit import fit_ngrams
from lstm_model.tokens.tokenizer import fit_tokenizer

KINDS = [
    (bidirectional, pooling, activation, skip, layers, dense)
    for bidirectional, pooling, activation, skip, layers, dense in product(
        (False, True), ("last", "max", "mean"), ("tanh", "relu"), (False, True), (1, 2), (0, 8)
    )
    if not (skip and pooling == "last")
]
LENGTHS = np.array([9, 1, 4, 2, 9, 7], dtype=np.int32)
LABELS = ["cat", "dog", "owl"]
TEXTS = ["the cat purrs", "a dog barks at the cat", "owls hoot", "the dog and the owl", "purr", "bark bark bark"]


def network_config(**changes: object) -> ModelConfig:
    values = {
        "embedding_dim": 6,
        "lstm_layers": 1,
        "lstm_units": 5,
        "bidirectional": True,
        "activation": "tanh",
        "pooling": "max",
        "embedding_skip": True,
        "dense_units": 0,
        "dropout_rate": 0.2,
        "word_dropout_rate": 0.2,
    }
    return ModelConfig.model_validate(values | changes)


def with_random_weights(network: keras.Model, seed: int) -> keras.Model:
    """Fill every weight, biases too: fresh ones are so small that a wrong order of the gates would hardly show."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_variables:
        weight.assign(rng.normal(0, 0.8, weight.shape))
    return network


@pytest.mark.parametrize(("bidirectional", "pooling", "activation", "skip", "layers", "dense"), KINDS)
def test_onnx_equals_keras_and_has_no_loops(
    bidirectional: bool, pooling: str, activation: str, skip: bool, layers: int, dense: int, tmp_path: Path
) -> None:
    config = network_config(
        bidirectional=bidirectional,
        pooling=pooling,
        activation=activation,
        embedding_skip=skip,
        lstm_layers=layers,
        dense_units=dense,
    )
    network = with_random_weights(build_network(config, vocab_size=30, num_classes=3, seed=1), seed=2)
    token_ids = np.random.default_rng(3).integers(1, 30, (len(LENGTHS), LENGTHS.max())).astype(np.int32)
    token_ids[np.arange(LENGTHS.max()) >= LENGTHS[:, None]] = 0
    expected = softmax(network(token_ids, training=False).numpy())

    write_onnx(network, config, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession((tmp_path / "model.onnx").read_bytes())
    found = softmax(session.run(["logits"], {"token_ids": token_ids, "lengths": LENGTHS})[0])

    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01  # The rows differ, so the comparison says something.
    operations = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert operations.count("LSTM") == layers
    assert not {"Loop", "Scan", "If"} & set(operations)


def test_padding_changes_nothing_in_keras_either() -> None:
    network = with_random_weights(build_network(network_config(), vocab_size=30, num_classes=3, seed=1), seed=2)
    short = np.array([[4, 7, 9]], dtype=np.int32)
    padded = np.pad(short, ((0, 0), (0, 20)))
    np.testing.assert_allclose(network(padded).numpy(), network(short).numpy(), rtol=0, atol=1e-6)


def test_the_article_network_has_584932_parameters() -> None:
    config = PipelineConfig.model_validate(PRESETS["article"])
    network = build_network(config.model, vocab_size=config.tokenization.vocab_size, num_classes=4, seed=42)
    assert network.count_params() == 584_932
    sizes = {layer.name: layer.count_params() for layer in network.layers if layer.trainable_variables}
    assert list(sizes.values()) == [360_000, 89_088, 131_584, 4_128, 132]


def test_equal_seeds_give_equal_networks_and_other_seeds_others() -> None:
    first, second, other = (
        build_network(network_config(dense_units=4), vocab_size=9, num_classes=2, seed=seed) for seed in (1, 1, 2)
    )
    for one, two in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((one != two).any() for one, two in zip(first.get_weights(), other.get_weights(), strict=True))


def test_word_dropout_hides_words_while_training_only_and_leaves_padding() -> None:
    network = build_network(network_config(word_dropout_rate=0.5), vocab_size=9, num_classes=2, seed=1)
    layer, token_ids = network.get_layer("word_dropout"), np.array([[5] * 500 + [0] * 500], dtype=np.int32)
    dropped = layer(token_ids, training=True).numpy()
    assert set(dropped[0, :500]) == {1, 5}
    assert 150 < (dropped[0, :500] == 1).sum() < 350
    assert (dropped[0, 500:] == 0).all()
    np.testing.assert_array_equal(layer(token_ids, training=False), token_ids)


def test_a_saved_keras_network_loads_without_pickle_and_predicts_the_same(tmp_path: Path) -> None:
    network = with_random_weights(build_network(network_config(), vocab_size=30, num_classes=3, seed=1), seed=2)
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    token_ids = np.array([[4, 7, 9, 0], [2, 3, 5, 8]], dtype=np.int32)
    np.testing.assert_array_equal(loaded(token_ids).numpy(), network(token_ids).numpy())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served classifier of three labels, with random weights and max_length 12,000."""
    folder = tmp_path_factory.mktemp("classifier")
    tokenizer = fit_tokenizer(
        TEXTS,
        TokenizationConfig(
            kind="word", vocab_size=50, min_frequency=1, max_length=12_000, lowercase=True, strip_accents=True
        ),
    )
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    config = network_config(lstm_layers=2)
    network = build_network(config, vocab_size=tokenizer.get_vocab_size(), num_classes=3, seed=1)
    write_onnx(with_random_weights(network, seed=2), config, folder / "model.onnx")
    ClassifierDescription(labels=LABELS, temperature=1.5).write(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    return Classifier.load(folder, num_threads=1)


def copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


WORDS = ["the", "cat", "dog", "owl", "purrs", "barks", "hoot", "unseen", "!", ","]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@settings(max_examples=40)
@given(texts=st.lists(SENTENCES, min_size=1, max_size=20))
def test_a_rows_answer_does_not_depend_on_the_rows_beside_it(classifier: Classifier, texts: list[str]) -> None:
    together = classifier.predict_probabilities(texts)
    alone = np.concatenate([classifier.predict_probabilities([text]) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    assert answer_table(together, LABELS)["label"].tolist() == answer_table(alone, LABELS)["label"].tolist()


def test_a_rows_answer_does_not_depend_on_a_long_neighbour(classifier: Classifier) -> None:
    alone = classifier.predict_probabilities(["the cat purrs"])
    beside = classifier.predict_probabilities(["dog barks " * 2_000, "the cat purrs", "owl " * 900])
    np.testing.assert_allclose(beside[1:2], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("rows", "tokens"), [(1, 16_384), (3, 50), (64, 1), (1_000, 10**9)])
def test_a_rows_answer_does_not_depend_on_the_size_of_batches(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, rows: int, tokens: int
) -> None:
    texts = [" ".join(TEXTS[: number % 6 + 1]) for number in range(150)]
    expected = classifier.predict_probabilities(texts)
    monkeypatch.setattr("lstm_model.classifier.classifier.BATCH_ROWS", rows)
    monkeypatch.setattr("lstm_model.classifier.classifier.BATCH_TOKENS", tokens)
    found = classifier.predict_probabilities(texts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def test_permuted_texts_give_permuted_answers(classifier: Classifier) -> None:
    texts = [" ".join(TEXTS[: number % 6 + 1]) + f" {'cat ' * (number % 11)}" for number in range(200)]
    order = np.random.default_rng(5).permutation(len(texts))
    found = classifier.predict_probabilities([texts[place] for place in order])
    np.testing.assert_allclose(found, classifier.predict_probabilities(texts)[order], rtol=0, atol=1e-6)


def test_a_copy_on_another_path_gives_the_very_same_answers(
    classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    copied = Classifier.load(str(copy(folder, tmp_path / "copy")), num_threads=1)
    assert copied.labels == LABELS
    np.testing.assert_array_equal(copied.predict_probabilities(TEXTS), classifier.predict_probabilities(TEXTS))


def test_the_temperature_divides_the_logits(classifier: Classifier, folder: Path, tmp_path: Path) -> None:
    target = copy(folder, tmp_path / "cold")
    ClassifierDescription(labels=LABELS, temperature=1.0).write(target)
    cold = Classifier.load(target, num_threads=1).predict_probabilities(TEXTS).astype(np.float64)
    expected = cold ** (1 / 1.5) / (cold ** (1 / 1.5)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_probabilities(TEXTS), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "the cat " * 5_000,
        "unseen " * 10_000,
        "🦉🐈🐕 👩‍👩‍👧‍👦",
        "مرحبا بالعالم \u202eשלום\u202c",
        "nul \x00 inside",
        "\x00",
        "",
        " \n\t ",
        "\u0301",
        "wholly unfamiliar words",
        "a" * 1_000_000,
    ],
    ids=lambda text: f"{text[:10]!a} x {len(text)}",
)
def test_any_text_gets_probabilities(classifier: Classifier, text: str) -> None:
    found = classifier.predict_probabilities([text, "the cat purrs"])
    assert found.shape == (2, 3)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_no_texts_get_no_probabilities(classifier: Classifier) -> None:
    assert classifier.predict_probabilities([]).shape == (0, 3)
    assert len(answer_table(classifier.predict_probabilities([]), LABELS)) == 0


def test_eight_threads_get_the_same_answers(classifier: Classifier) -> None:
    texts = [" ".join(TEXTS[: number % 6 + 1]) for number in range(40)]
    expected = classifier.predict_probabilities(texts)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: classifier.predict_probabilities(texts), range(32)):
            np.testing.assert_array_equal(found, expected)


def test_answers_name_the_likeliest_label_and_every_probability() -> None:
    table = answer_table(np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32), ["cat", "007"])
    assert table.to_dict("list") == {
        "label": ["007", "cat"],
        "score": [0.75, 0.5],
        "probability_cat": [0.25, 0.5],
        "probability_007": [0.75, 0.5],
    }


def test_softmax_bears_large_logits() -> None:
    found = softmax(np.array([[1e4, -1e4, 0], [0, 0, 0]], dtype=np.float32))
    np.testing.assert_allclose(found, [[1, 0, 0], [1 / 3] * 3], atol=1e-7)


def test_the_parts_are_weighed_and_added(folder: Path, tmp_path: Path) -> None:
    target = copy(folder, tmp_path / "mixed")
    for kind in NGRAM_KINDS:
        ngrams = fit_ngrams(TEXTS, np.arange(len(TEXTS), dtype=np.int32) % 3, kind=kind, num_classes=3)
        assert ngrams is not None
        ngrams.save(target, kind, bayes=0.3)
    ClassifierDescription(LABELS, temperature=1.5, mixture={"words": 0.5, "characters": 2.0}).write(target)
    mixed = Classifier.load(target)
    for texts in (TEXTS, TEXTS * 10):  # In one thread, and in several.
        parts = mixed.predict_parts(texts)
        logits = parts["lstm"] + 0.5 * parts["words"] + 2 * parts["characters"]
        np.testing.assert_allclose(mixed.predict_probabilities(texts), softmax(logits / 1.5), rtol=0, atol=1e-6)
    (target / "words_weights.npy").unlink()
    with pytest.raises(ModelError, match="words_weights"):
        Classifier.load(target)
    ClassifierDescription([*LABELS, "eel"], mixture={"characters": 2.0}).write(target)
    with pytest.raises(ModelError, match="4 labels"):
        Classifier.load(target)


def test_a_classifier_of_the_first_format_is_its_lstm(classifier: Classifier, folder: Path, tmp_path: Path) -> None:
    target = copy(folder, tmp_path / "first")
    stored = json.loads((target / "classifier.json").read_text("utf-8"))
    del stored["mixture"]
    (target / "classifier.json").write_text(json.dumps(stored | {"format_version": 1}))
    np.testing.assert_array_equal(
        Classifier.load(target).predict_probabilities(TEXTS), classifier.predict_probabilities(TEXTS)
    )


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx", "classifier.json"])
def test_a_missing_file_is_a_model_error(folder: Path, tmp_path: Path, name: str) -> None:
    target = copy(folder, tmp_path / "copy")
    (target / name).unlink()
    with pytest.raises(ModelError, match=rf"(FileNotFoundError|NoSuchFile).*{name}"):
        Classifier.load(target)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(data: bytes) -> bytes:
    return data[:0]


def overwritten(data: bytes) -> bytes:
    return b"\xff\x00 no model" * 20


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx", "classifier.json"])
@pytest.mark.parametrize("damage", [truncated, emptied, overwritten])
def test_a_damaged_file_is_a_model_error(
    folder: Path, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    target = copy(folder, tmp_path / "copy")
    (target / name).write_bytes(damage((target / name).read_bytes()))
    with pytest.raises(ModelError, match="incomplete or damaged"):
        Classifier.load(target)


@pytest.mark.parametrize("content", ["[]", "{}", '{"labels": ["a"], "format_version": 1, "unknown": 1}', "5"])
def test_a_description_of_another_shape_is_a_model_error(folder: Path, tmp_path: Path, content: str) -> None:
    target = copy(folder, tmp_path / "copy")
    (target / "classifier.json").write_text(content)
    with pytest.raises(ModelError, match="incomplete or damaged"):
        Classifier.load(target)


def test_a_later_format_is_named_even_with_fields_unknown_here(folder: Path, tmp_path: Path) -> None:
    target = copy(folder, tmp_path / "copy")
    stored = json.loads((target / "classifier.json").read_text("utf-8"))
    (target / "classifier.json").write_text(json.dumps(stored | {"format_version": 99, "novelty": True}))
    with pytest.raises(ModelError, match=r"has format 99; .*Update this package"):
        Classifier.load(target)


def test_a_missing_folder_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        Classifier.load(tmp_path / "nowhere")


def test_the_description_is_readable_json(tmp_path: Path) -> None:
    description = ClassifierDescription(labels=["été", "007"], temperature=0.5, config={"model": {"lstm_units": 5}})
    description.write(tmp_path)
    text = (tmp_path / "classifier.json").read_text("utf-8")
    assert "été" in text
    assert ClassifierDescription(**json.loads(text)) == description


def test_importing_the_classifier_loads_nothing_heavy() -> None:
    code = "import sys, lstm_model.classifier.classifier; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert not {"tensorflow", "keras", "sklearn", "mlflow", "prefect", "great_expectations", "matplotlib"} & loaded
