"""The classifier that is served: texts -> probabilities. Needs only numpy, tokenizers and onnxruntime.

Its folder has tokenizer.json (text -> token_ids), model.onnx (token_ids -> the LSTM's logits), two .npy files for each
n-gram part (text -> margins), classifier.json (labels, input columns, weights of the parts, temperature, config) and,
for retraining and inspection, model.keras. No pickle.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from lstm_model.arrays import Float32, Int32, Int64
from lstm_model.digests import digest_file, digest_json
from lstm_model.errors import ModelError
from lstm_model.memory import memory_error
from lstm_model.ngrams.ngram_model import NgramModel, NgramTable
from lstm_model.tokens.encoded_rows import length_batches, pad_batch
from lstm_model.tokens.text_encoder import TextEncoder

# Read, too: 1, without n-grams; 2, for one text column; 3, without characters across white space; 4, without triples.
FORMAT_VERSION = 5
DESCRIPTION = "classifier.json"
LSTM = "lstm"  # The name of the part that is always there.
BATCH_ROWS = 16  # 32 takes 2 % less time and 7 MB more.
BATCH_TOKENS = 8_192  # Bounds the memory of one batch: tokens including padding.


@dataclass(frozen=True)
class ClassifierDescription:
    """The content of classifier.json."""

    labels: list[str]
    temperature: float = 1.0
    inputs: list[str] = field(default_factory=lambda: ["text"])  # The columns that together are a text.
    mixture: dict[str, float] = field(default_factory=dict)  # The weight of each part; empty: the LSTM alone.
    format_version: int = FORMAT_VERSION
    config: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 by file; of this file, all but the digests.

    def sealed(self, folder: Path, files: Iterable[str]) -> "ClassifierDescription":
        """Return the description with the digests of its files, which loading checks."""
        found = {name: digest_file(folder / name) for name in files}
        return replace(self, digests={**found, DESCRIPTION: digest_json(asdict(replace(self, digests={})))})

    @classmethod
    def read(cls, folder: Path) -> "ClassifierDescription":
        """Raises ModelError for a later format, ValueError if a file is not the one that was sealed."""
        stored = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        if stored["format_version"] > FORMAT_VERSION:  # Checked first: unknown fields would look like damage.
            problem = f"The classifier in {folder} has format {stored['format_version']}"
            raise ModelError(
                f"{problem}; this package reads format {FORMAT_VERSION} or earlier.", "Update this package."
            )
        description = cls(**stored)
        if sealed := description.digests:  # Earlier releases wrote none.
            found = description.sealed(folder, sealed.keys() - {DESCRIPTION}).digests
            if changed := sorted(name for name in found if found[name] != sealed[name]):
                raise ValueError(f"{' and '.join(changed)} changed after the export")
        return description

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, default=str)
        (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


class Classifier:
    """Predicts labels of texts; safe to call from several threads.

    Several batches run at once, each in one thread: 20-40 % faster than all threads in one batch after another
    (benchmarks/serving.py), because the steps of an LSTM run in sequence.
    """

    def __init__(self, folder: Path, *, num_threads: int) -> None:
        self.description = ClassifierDescription.read(folder)
        self.tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
        self.encoder = TextEncoder(self.tokenizer)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        # Given as a path, because the bytes of a file read first would stay in memory next to the network.
        path = str(folder / "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        width = self.session.get_outputs()[0].shape[1]
        if width != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels for {width} outputs of the network")
        tables = {name: NgramTable(folder, name) for name in self.description.mixture if name != LSTM}
        if any(table.rows.shape[1] != width + 1 for table in tables.values()):
            raise ValueError(f"the n-grams do not have {width} labels")
        self.ngrams = NgramModel(tables) if tables else None
        self.threads = ThreadPoolExecutor(num_threads, thread_name_prefix="classifier")

    @property
    def labels(self) -> list[str]:
        """Names of the C classes, in the order of the probabilities' columns."""
        return self.description.labels

    @property
    def inputs(self) -> list[str]:
        """Names of the columns that together are a text (`lstm_model.data.text_columns.join_texts`)."""
        return self.description.inputs

    @classmethod
    def load(cls, folder: Path | str, *, num_threads: int | None = None) -> "Classifier":
        """Raises ModelError if a file is missing, damaged or of a later format. num_threads: default all cores."""
        try:
            return cls(Path(folder), num_threads=num_threads or available_cores())
        except ModelError:
            raise
        except Exception as error:
            if memory := memory_error(error):
                raise memory from None
            reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            raise ModelError(
                f"{folder} has no usable tokenizer.json, model.onnx and classifier.json ({reason}).",
                "The model is incomplete or damaged: register it again.",
            ) from error

    def predict_probabilities(self, texts: Sequence[str]) -> Float32:
        """Return float32[N, C], rows in the order of `texts`, each summing to 1."""
        return self.scale(mix(self.predict_parts(texts), self.description.mixture))

    def predict_parts(self, texts: Sequence[str], encoded: tuple[Int32, Int64] | None = None) -> dict[str, Float32]:
        """Return the answers of each part, float32[N, C]: the logits `lstm` and the margins of the n-gram parts.

        encoded: token_ids and offsets of the texts, if the caller has them.
        A row's answer depends on no other row and on no padding.
        """
        encoded = encoded or self.encoder.encode(texts)
        if self.ngrams is None:
            return {LSTM: self.network_logits(*encoded)}
        if len(texts) <= BATCH_ROWS:  # A short request is faster without a switch of threads.
            return {LSTM: self.network_logits(*encoded), **self.ngrams.margins(texts)}
        margins = self.threads.submit(self.ngrams.margins, texts)
        return {LSTM: self.network_logits(*encoded), **margins.result()}

    def scale(self, logits: Float32) -> Float32:
        """Return the probabilities float32[N, C] of logits: float32[N, C]."""
        return softmax(logits / np.float32(self.description.temperature))

    def network_logits(self, token_ids: Int32, offsets: Int64) -> Float32:
        """Return the LSTM's logits float32[N, C] for token_ids: int32[sum of lengths] and offsets: int64[N + 1]."""
        lengths = np.diff(offsets)
        logits = np.zeros((len(lengths), len(self.labels)), dtype=np.float32)

        def run(rows: Int64) -> None:
            feed = {"token_ids": pad_batch(token_ids, offsets, rows), "lengths": lengths[rows].astype(np.int32)}
            logits[rows] = self.session.run(["logits"], feed)[0]

        batches = list(length_batches(lengths, BATCH_ROWS, max_tokens=BATCH_TOKENS))
        if len(batches) > 1:
            # Longest first: a long batch that starts last would leave the other threads idle.
            list(self.threads.map(run, reversed(batches)))
        elif batches:
            run(batches[0])  # A short request is faster without a switch of threads.
        return logits


def mix(parts: Mapping[str, Float32], weights: Mapping[str, float]) -> Float32:
    """Return the logits float32[N, C] of all parts together; a weight that is missing for the LSTM is 1."""
    weighted = {LSTM: 1.0, **weights}
    return np.asarray(sum(np.float32(weight) * parts[name] for name, weight in weighted.items()))


def softmax(logits: Float32) -> Float32:
    """Return the probabilities float32[N, C] of logits: each row sums to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
