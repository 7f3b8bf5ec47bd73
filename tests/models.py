"""A registered model without a training run: fresh weights answer as fast, and as reproducibly, as trained ones."""

import json
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient

from lstm_model.classifier.classifier import ClassifierDescription
from lstm_model.config.model import ModelConfig
from lstm_model.config.tokenization import TokenizationConfig

LABELS = ["cat", "dog", "owl"]
WORDS = ["purr", "bark", "hoot", "meow", "woof"]
TEXTS = [f"the {word} came at {n} and {m} left" for n, word in enumerate(WORDS) for m in "abc"]


def write_classifier(folder: Path, *, seed: int = 1, inputs: tuple[str, ...] = ("text",)) -> Path:
    """Write a whole classifier folder, model.keras included; return it. inputs: the columns that it reads."""
    import numpy as np

    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import build_network
    from lstm_model.ngrams.counts import KINDS
    from lstm_model.ngrams.fit import fit_ngrams
    from lstm_model.tokens.tokenizer import fit_tokenizer

    folder.mkdir(parents=True)
    config = ModelConfig(embedding_dim=16, lstm_units=8)
    tokenizer = fit_tokenizer(TEXTS, TokenizationConfig(vocab_size=200, min_frequency=1, max_length=64))
    tokenizer.save(str(folder / "tokenizer.json"))
    network = build_network(config, vocab_size=tokenizer.get_vocab_size(), num_classes=len(LABELS), seed=seed)
    rng = np.random.default_rng(seed)
    for weight in network.trainable_variables:  # Fresh weights would answer every text nearly alike.
        weight.assign(rng.normal(0, 0.6, weight.shape))
    network.save(folder / "model.keras")
    write_onnx(network, config, folder / "model.onnx")
    label_ids = np.arange(len(TEXTS), dtype=np.int32) // 3 % len(LABELS)
    for kind in KINDS:
        ngrams = fit_ngrams(TEXTS, label_ids, kind=kind, num_classes=len(LABELS))
        assert ngrams is not None
        ngrams.save(folder, kind, bayes=0.3)
    mixture = {"words": 0.1, "characters": 0.2}
    description = ClassifierDescription(labels=LABELS, inputs=list(inputs), mixture=mixture)
    description.sealed(folder, [path.name for path in folder.iterdir() if path.suffix != ".keras"]).write(folder)
    return folder


def register(folder: Path, name: str) -> str:
    """Register a classifier folder as the next version and give it the alias champion; return the version."""
    from tasks.promotion.register_classifier import log_classifier
    from tasks.runtime.tracking import ensure_experiment

    inputs = json.loads((folder / "classifier.json").read_text("utf-8"))["inputs"]
    example = pd.DataFrame(dict.fromkeys(inputs, TEXTS[:2]))
    with mlflow.start_run(experiment_id=ensure_experiment("models-for-tests")):
        uri = log_classifier(list(folder.iterdir()), example, metadata={"labels": LABELS})
    version = str(mlflow.register_model(uri, name).version)
    MlflowClient().set_registered_model_alias(name, "champion", version)
    return version
