"""The trained network -> the classifier that is served. Its answers are compared with Keras on validation rows."""

import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from prefect import get_run_logger

from lstm_model.classifier.calibration import Float, calibrate
from lstm_model.classifier.classifier import DESCRIPTION, LSTM, Classifier, ClassifierDescription, mix, softmax
from lstm_model.classifier.mixture import add_bayes, fit_mixture
from lstm_model.config.export import ExportConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.errors import ModelError
from lstm_model.evaluation.record import SMALL_SHARE
from lstm_model.ngrams.fit import save_served
from lstm_model.ngrams.ngram_model import NgramModel, NgramTable, table_files
from lstm_model.tokens.encoded_rows import EncodedRows
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, log_metrics
from tasks.training.fit_ngram_models import TRAIN_FIT
from tasks.training.split_examples import read_texts

SERVED_FILES = ("tokenizer.json", "model.onnx", DESCRIPTION)
VALIDATION_LOGITS = "validation_logits.npy"  # float32[N, C], mixed, not yet divided by the temperature.


def ngram_files(parts: Iterable[str]) -> list[str]:
    """Return the names of the files of n-gram parts."""
    return [file for name in parts if name != LSTM for file in table_files(name)]


def registered_files(classifier: StageRecord) -> list[str]:
    """Return the names of the files that are registered: the served ones and the network in Keras's format."""
    return [*SERVED_FILES, *ngram_files(classifier.facts["mixture"]["weights"]), "model.keras"]


def _report(record: StageRecord, run: Run) -> str:
    facts, shares = record.facts, record.facts["mixture"]["shares"]
    metrics = {"max_difference": facts["max_difference"], "bytes": facts["bytes"], **facts["calibration"]}
    metrics |= {f"share_{name}": share for name, share in shares.items()}
    metrics["naive_bayes"] = facts["mixture"]["bayes"]
    log_metrics(run, {f"export.{name}": value for name, value in metrics.items()})
    if shares[LSTM] < SMALL_SHARE:
        get_run_logger().warning("On validation rows the LSTM adds next to nothing to the n-grams.")
    listed = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return f"{facts['bytes'] / 1e6:.1f} MB; share of the answer: {listed}"


@stage("classifier", report=_report)
def export_classifier(
    folder: Path,
    trained: StageRecord,
    encoded: StageRecord,
    ngrams: StageRecord,
    splits: StageRecord,
    model: ModelConfig,
    tokenization: TokenizationConfig,
    config: ExportConfig,
) -> dict[str, Any]:
    """Write tokenizer.json, model.onnx, classifier.json, model.keras and the n-grams; compare with Keras."""
    # Imported here: TensorFlow takes 4 s, and a cached stage does not need it.
    import keras

    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import WordDropout  # noqa: F401  registers the layers of the file

    # Not compiled: the optimizer's state takes twice the space of the weights and is used in training only.
    network = keras.saving.load_model(trained.file("network.keras"), compile=False)
    network.save(folder / "model.keras")
    write_onnx(network, model, folder / "model.onnx")
    shutil.copyfile(encoded.file("tokenizer.json"), folder / "tokenizer.json")
    sections = {"model": model, "tokenization": tokenization, "export": config}
    # A path says where this machine keeps a file; the model can be served anywhere.
    settings = {name: section.model_dump(mode="json", exclude={"word_vectors"}) for name, section in sections.items()}
    description = ClassifierDescription(encoded.facts["labels"], inputs=splits.facts["inputs"], config=settings)
    description.write(folder)
    rows = EncodedRows.load(encoded.folder, "validation")
    parts = {LSTM: Classifier.load(folder).network_logits(rows.token_ids, rows.offsets)}
    bayes = {}
    if tables := {kind: NgramTable(ngrams.folder, TRAIN_FIT + kind) for kind in ngrams.facts["parts"]}:
        for kind, margins in NgramModel(tables).margins(read_texts(splits, "validation")[0]).items():
            parts[kind], bayes[kind] = np.split(margins, 2, axis=1)  # Of the SVM; of naive Bayes.
    difference = _compare_with_keras(network, rows.head(config.compared_rows), parts[LSTM], config)
    mixture = fit_mixture(parts, rows.label_ids, bayes)
    for kind in mixture.weights.keys() & bayes.keys():  # Those that were fitted on validation rows too.
        save_served(ngrams.folder, folder, kind, bayes=mixture.bayes)
    logits = mix(add_bayes(parts, bayes, mixture.bayes), mixture.weights)
    np.save(folder / VALIDATION_LOGITS, logits)
    calibration = calibrate(logits=logits, label_ids=rows.label_ids, wanted=config.calibrate)
    description = replace(description, temperature=calibration.temperature, mixture=mixture.weights)
    files = [*SERVED_FILES, *ngram_files(mixture.weights)]
    description.sealed(folder, [name for name in files if name != DESCRIPTION]).write(folder)
    return {
        "labels": encoded.facts["labels"],
        "max_difference": difference,
        "compared": min(len(rows), config.compared_rows),
        "calibration": asdict(calibration),
        "mixture": asdict(mixture),
        "bytes": sum((folder / name).stat().st_size for name in files),
    }


def _compare_with_keras(network: Any, rows: EncodedRows, logits: Float, config: ExportConfig) -> float:
    """Return the largest difference between two probabilities; raises ModelError if it is too large."""
    from lstm_model.network.device import full_precision
    from lstm_model.network.training import predict_logits

    with full_precision():
        wanted = predict_logits(network, rows)
    difference = float(np.abs(softmax(logits[: len(rows)]) - softmax(wanted)).max())
    if not difference <= config.max_difference:  # Also rejects NaN.
        raise ModelError(
            f"Probabilities of Keras and ONNX Runtime differ by {difference:g} on {len(rows)} validation rows; "
            f"at most {config.max_difference:g} is allowed.",
            "Raise --export.max-difference if that is acceptable; otherwise report the configuration.",
        )
    return difference
