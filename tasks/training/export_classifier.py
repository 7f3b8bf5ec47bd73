"""The trained network -> the classifier that is served, compared with Keras on real rows before anyone relies on it."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lstm_model.classifier.calibration import Calibration, calibrate
from lstm_model.classifier.classifier import Classifier, ClassifierDescription, softmax
from lstm_model.config.export import ExportConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.errors import ModelError
from lstm_model.tokens.encoded_rows import EncodedRows
from tasks.runtime import tracking
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run
from tasks.training.split_examples import read_split

SERVED_FILES = ("tokenizer.json", "model.onnx", "classifier.json")


def _report(record: StageRecord, run: Run) -> None:
    facts = record.facts
    tracking.log_metrics(run, {"export.max_difference": facts["max_difference"], "export.bytes": facts["bytes"]})
    rows = [
        ["rows compared", facts["compared"]],
        ["largest difference of a probability", f"{facts['max_difference']:.2e}"],
        ["size of the classifier without model.keras", f"{facts['bytes'] / 1e6:.1f} MB"],
    ]
    if quantized := facts["int8"]:
        tracking.log_metrics(run, {f"export.int8_{name}": value for name, value in quantized.items()})
        rows += [
            ["validation rows that int8 labels otherwise", f"{quantized['disagreement']:.2%}"],
            ["validation accuracy, float", f"{quantized['accuracy_float']:.4f}"],
            ["validation accuracy, int8", f"{quantized['accuracy']:.4f}"],
        ]
    tracking.log_metrics(run, {f"export.{name}": value for name, value in facts["calibration"].items()})
    rows += _calibration_rows(facts["calibration"])
    publish_markdown("export", markdown_table(["Keras and ONNX Runtime", ""], rows), "Does the classifier agree?")


def _calibration_rows(calibration: dict[str, Any]) -> list[list[Any]]:
    note = "" if calibration["temperature_kept"] else f", for {calibration['temperature_fitted']:.4f} does not help"
    return [
        ["temperature", f"{calibration['temperature']:.4f}{note}"],
        ["validation log loss without it", calibration["log_loss_before"]],
        ["validation log loss with one fitted on other folds", calibration["log_loss_after"]],
    ]


@stage("classifier", report=_report)
def export_classifier(
    folder: Path,
    trained: StageRecord,
    encoded: StageRecord,
    examples: StageRecord,
    splits: StageRecord,
    model: ModelConfig,
    tokenization: TokenizationConfig,
    config: ExportConfig,
) -> dict[str, Any]:
    """Write tokenizer.json, model.onnx, classifier.json and model.keras, and check them against Keras."""
    # Imported here: TensorFlow takes 4 s that a cached stage does not need.
    import keras

    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import WordDropout  # noqa: F401  registers the layers that the file names

    # Not compiled: the optimizer's state, twice the weights, is of no use to whoever serves or inspects.
    network = keras.saving.load_model(trained.file("network.keras"), compile=False)
    network.save(folder / "model.keras")
    write_onnx(network, model, folder / "model.onnx")
    shutil.copyfile(encoded.file("tokenizer.json"), folder / "tokenizer.json")
    made_with = {"model": model, "tokenization": tokenization, "export": config}
    described = {name: section.model_dump(mode="json") for name, section in made_with.items()}
    description = ClassifierDescription(labels=encoded.facts["labels"], config=described)
    description.write(folder)
    texts = read_split(examples, splits, "validation")["text"].tolist()
    rows = EncodedRows.load(encoded.file("validation.npz"))
    difference = _compare_with_keras(folder, network, texts[: config.compared_rows], rows, config)
    quantized = _quantize(folder, network, model, rows, config) if config.quantize == "int8" else None
    calibration = _calibrate(folder, rows, config)
    replace(description, temperature=calibration.temperature).write(folder)
    return {
        "labels": encoded.facts["labels"],
        "max_difference": difference,
        "compared": min(len(texts), config.compared_rows),
        "int8": quantized,
        "calibration": asdict(calibration),
        "bytes": sum((folder / name).stat().st_size for name in SERVED_FILES),
    }


def _compare_with_keras(folder: Path, network: Any, texts: list[str], rows: EncodedRows, config: ExportConfig) -> float:
    """Return the largest difference of a probability; raises ModelError where it is too large."""
    from lstm_model.network.training import predict_logits

    ours = Classifier.load(folder).predict_probabilities(texts)
    difference = float(np.abs(ours - softmax(predict_logits(network, rows.head(len(texts))))).max())
    if not difference <= config.max_difference:  # Also refuses NaN.
        raise ModelError(
            expected=f"probabilities of Keras and ONNX Runtime within {config.max_difference:g}",
            found=f"a difference of {difference:g} on {len(texts)} validation rows",
            remedy="Raise --export.max-difference if that is acceptable; otherwise report the configuration.",
        )
    return difference


def _calibrate(folder: Path, rows: EncodedRows, config: ExportConfig) -> Calibration:
    """Fit the temperature on the answers of the graph that is served, the quantized one if there is one."""
    logits = Classifier.load(folder).predict_logits(rows.token_ids, rows.offsets)
    return calibrate(logits=logits, label_ids=rows.label_ids, wanted=config.calibrate)


def _quantize(
    folder: Path, network: Any, model: ModelConfig, rows: EncodedRows, config: ExportConfig
) -> dict[str, float]:
    """Put the int8 graph in the float one's place; return how they differ on all validation rows.

    Raises ModelError where they label too many rows differently.
    """
    from lstm_model.network.quantization import write_int8_onnx

    exact = Classifier.load(folder).predict_encoded(rows.token_ids, rows.offsets)
    write_int8_onnx(network, model, folder / "model.onnx", rows=rows)
    rounded = Classifier.load(folder).predict_encoded(rows.token_ids, rows.offsets)
    disagreement = float((exact.argmax(axis=1) != rounded.argmax(axis=1)).mean())
    if not (np.isfinite(rounded).all() and disagreement <= config.max_disagreement):
        raise ModelError(
            expected=f"int8 to label at most {config.max_disagreement:.2%} of the validation rows otherwise than float",
            found=f"{disagreement:.2%} of {len(rows):,} rows",
            remedy="Use --export.quantize none, or raise --export.max-disagreement if that is acceptable.",
        )
    return {
        "disagreement": disagreement,
        "max_difference": float(np.abs(exact - rounded).max()),
        "accuracy_float": float((exact.argmax(axis=1) == rows.label_ids).mean()),
        "accuracy": float((rounded.argmax(axis=1) == rows.label_ids).mean()),
    }
