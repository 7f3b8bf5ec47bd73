"""The network in int8: dynamically quantized LSTM layers, and an embedding of one byte a value. Loads TensorFlow.

ONNX Runtime's DynamicQuantizeLSTM takes the scale of its 8-bit inputs from the smallest and largest value in the whole
batch, at every step: a row's answer would depend on the rows beside it (by up to 0.005 of a probability on AG News).
So the graph carries guards (export.py): columns and units that always hold the ends of the range. The scale is then the
same in every batch, and the answer exactly the row's own. A relu layer has no end of its range; its output is cut at
a bound measured on real rows, as quantization with fixed ranges does.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from lstm_model.config.model import ModelConfig
from lstm_model.network.export import write_onnx
from lstm_model.tokens.batches import length_batches, pad_batch
from lstm_model.tokens.encoded_rows import EncodedRows

CALIBRATION_TOKENS = 16_384
# Of all outputs of a relu layer, 1 in 10,000 is cut: on the article network this agreed with float best of
# 99.9 %, 99.99 %, 99.999 %, 100 % and twice the largest (docs/results.md).
BOUND_QUANTILE = 0.9999


def write_int8_onnx(network: keras.Model, config: ModelConfig, path: Path, *, rows: EncodedRows) -> None:
    """Write the quantized graph, with the inputs and outputs of `export.write_onnx`. rows: to measure bounds on."""
    with tempfile.TemporaryDirectory() as scratch:
        guarded = Path(scratch) / "guarded.onnx"
        write_onnx(network, config, guarded, bounds=output_bounds(network, config, rows))
        model = onnx.load(guarded)
        # What the quantizer looks for to see that shapes were inferred; without it, it logs a warning.
        onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
        # Unsigned weights: signed ones saturate on x86 processors without VNNI (ONNX Runtime's quantization guide).
        quantize_dynamic(model, path, op_types_to_quantize=["LSTM", "Gather"], weight_type=QuantType.QUInt8)


def output_bounds(network: keras.Model, config: ModelConfig, rows: EncodedRows) -> list[float]:
    """Return for each LSTM layer the bound of its absolute output: 1 for tanh, measured on the rows for relu."""
    if config.activation == "tanh":
        return [1.0] * config.lstm_layers
    kind = "bidirectional" if config.bidirectional else "lstm"
    layers = [network.get_layer(f"{kind}_{number + 1}").output for number in range(config.lstm_layers)]
    outputs = keras.Model(network.inputs, layers)
    few = rows.head(int(np.searchsorted(rows.offsets, CALIBRATION_TOKENS)))
    values: list[list[np.ndarray]] = [[] for _ in layers]
    for batch in length_batches(few.lengths, 64):
        answers = outputs(pad_batch(few.token_ids, few.offsets, batch), training=False)
        for layer, answer in enumerate(answers if isinstance(answers, list) else [answers]):
            values[layer].append(np.abs(np.asarray(answer)).ravel())
    return [float(np.quantile(np.concatenate(some), BOUND_QUANTILE)) or 1.0 for some in values]
