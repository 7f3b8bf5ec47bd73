"""The trained network -> the classifier that is served, compared with Keras on real rows before anyone relies on it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from lstm_model.classifier import Classifier, ClassifierDescription, softmax
from lstm_model.config import ExportConfig, ModelConfig, TokenizationConfig
from lstm_model.encoded import EncodedRows
from lstm_model.errors import ModelError
from tasks import tracking
from tasks.publishing import markdown_table, publish_markdown
from tasks.split_examples import read_split
from tasks.stages import StageRecord, stage
from tasks.tracking import Run


def _report(record: StageRecord, run: Run) -> None:
    facts = record.facts
    tracking.log_metrics(run, {"export.max_difference": facts["max_difference"], "export.bytes": facts["bytes"]})
    rows = [
        ["rows compared", facts["compared"]],
        ["largest difference of a probability", f"{facts['max_difference']:.2e}"],
        ["size of the classifier without model.keras", f"{facts['bytes'] / 1e6:.1f} MB"],
    ]
    publish_markdown("export", markdown_table(["Keras and ONNX Runtime", ""], rows), "Does the classifier agree?")


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

    from lstm_model.export import write_onnx
    from lstm_model.training import predict_logits

    network = keras.saving.load_model(trained.file("network.keras"))
    write_onnx(network, model, folder / "model.onnx")
    shutil.copyfile(encoded.file("tokenizer.json"), folder / "tokenizer.json")
    shutil.copyfile(trained.file("network.keras"), folder / "model.keras")
    made_with = {"model": model.model_dump(mode="json"), "tokenization": tokenization.model_dump(mode="json")}
    ClassifierDescription(labels=encoded.facts["labels"], config=made_with).write(folder)
    texts = read_split(examples, splits, "validation")["text"].tolist()[: config.compared_rows]
    rows = EncodedRows.load(encoded.file("validation.npz")).head(len(texts))
    ours, theirs = Classifier.load(folder).predict_probabilities(texts), softmax(predict_logits(network, rows))
    difference = float(np.abs(ours - theirs).max())
    if not difference <= config.max_difference:  # Also refuses NaN.
        raise ModelError(
            expected=f"probabilities of Keras and ONNX Runtime within {config.max_difference:g}",
            found=f"a difference of {difference:g} on {len(texts)} validation rows",
            remedy="Raise --export.max-difference if that is acceptable; otherwise report the configuration.",
        )
    served = sum((folder / name).stat().st_size for name in ("tokenizer.json", "model.onnx", "classifier.json"))
    return {"labels": encoded.facts["labels"], "max_difference": difference, "compared": len(texts), "bytes": served}
