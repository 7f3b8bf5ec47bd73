"""The trained network -> the classifier that is served, compared with Keras on real rows before anyone relies on it."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_model.classifier.calibration import calibrate
from lstm_model.classifier.classifier import Classifier, ClassifierDescription, softmax
from lstm_model.config.export import ExportConfig
from lstm_model.config.model import ModelConfig
from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.errors import ModelError
from lstm_model.tokens.encoded_rows import EncodedRows
from tasks.runtime import tracking
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run

Float = npt.NDArray[np.float32]
SERVED_FILES = ("tokenizer.json", "model.onnx", "classifier.json")
REGISTERED_FILES = (*SERVED_FILES, "model.keras")
VALIDATION_LOGITS = "validation_logits.npy"  # float32[N, C], not yet divided by the temperature.


def _report(record: StageRecord, run: Run) -> None:
    facts = record.facts
    found = {"max_difference": facts["max_difference"], "bytes": facts["bytes"], **facts["calibration"]}
    tracking.log_metrics(run, {f"export.{name}": value for name, value in found.items()})


@stage("classifier", report=_report)
def export_classifier(
    folder: Path,
    trained: StageRecord,
    encoded: StageRecord,
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
    rows = EncodedRows.load(encoded.file("validation.npz"))
    logits = Classifier.load(folder).predict_logits(rows.token_ids, rows.offsets)
    np.save(folder / VALIDATION_LOGITS, logits)
    difference = _compare_with_keras(network, rows.head(config.compared_rows), logits, config)
    calibration = calibrate(logits=logits, label_ids=rows.label_ids, wanted=config.calibrate)
    replace(description, temperature=calibration.temperature).write(folder)
    return {
        "labels": encoded.facts["labels"],
        "max_difference": difference,
        "compared": min(len(rows), config.compared_rows),
        "calibration": asdict(calibration),
        "bytes": sum((folder / name).stat().st_size for name in SERVED_FILES),
    }


def _compare_with_keras(network: Any, rows: EncodedRows, logits: Float, config: ExportConfig) -> float:
    """Return the largest difference of a probability; raises ModelError where it is too large."""
    from lstm_model.network.training import predict_logits

    difference = float(np.abs(softmax(logits[: len(rows)]) - softmax(predict_logits(network, rows))).max())
    if not difference <= config.max_difference:  # Also refuses NaN.
        raise ModelError(
            expected=f"probabilities of Keras and ONNX Runtime within {config.max_difference:g}",
            found=f"a difference of {difference:g} on {len(rows)} validation rows",
            remedy="Raise --export.max-difference if that is acceptable; otherwise report the configuration.",
        )
    return difference
