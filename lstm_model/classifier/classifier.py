"""The classifier that is served: text in, label and probabilities out. Needs numpy, tokenizers and onnxruntime only.

A folder with tokenizer.json (text -> token_ids), model.onnx (token_ids -> logits), classifier.json (labels,
temperature, how it was made) and, for retraining and inspection, model.keras. No pickle.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from lstm_model.errors import ModelError
from lstm_model.tokens.batches import length_batches, pad_batch
from lstm_model.tokens.text_encoder import Int32, Int64, TextEncoder

FORMAT_VERSION = 1
BATCH_ROWS = 16  # 32 takes 2 % less time and 7 MB more.
BATCH_TOKENS = 8_192  # Bounds the memory of one batch: tokens including padding.


@dataclass(frozen=True)
class ClassifierDescription:
    """What classifier.json holds beside the weights."""

    labels: list[str]
    temperature: float = 1.0
    format_version: int = FORMAT_VERSION
    config: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, default=str)
        (folder / "classifier.json").write_text(text + "\n", encoding="utf-8")


class Classifier:
    """Predicts labels of texts. Safe to call from several threads at once.

    Batches run side by side, one thread each: 20-40 % faster than one after the other with all threads in the
    network (benchmarks/serving.py), because an LSTM's steps follow one another and leave threads waiting.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        session: onnxruntime.InferenceSession,
        description: ClassifierDescription,
        *,
        num_threads: int,
    ) -> None:
        self.tokenizer, self.session, self.description = tokenizer, session, description
        self.encoder = TextEncoder(tokenizer)
        self.threads = ThreadPoolExecutor(num_threads, thread_name_prefix="classifier")

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in the order of the probabilities' columns."""
        return self.description.labels

    @classmethod
    def load(cls, folder: Path | str, *, num_threads: int | None = None) -> "Classifier":
        """Load from a folder. num_threads: batches that run at once; default all cores of this machine.

        Raises ModelError where a file is missing, damaged or of a later format.
        """
        folder = Path(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            stored = json.loads((folder / "classifier.json").read_text("utf-8"))
            _check_format(folder, stored["format_version"])
            description = ClassifierDescription(**stored)
            tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
            # By its path: read into memory first, the file would stay there beside the network.
            session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
            width = session.get_outputs()[0].shape[1]
            if width != len(description.labels):
                raise ValueError(f"{len(description.labels)} labels for {width} outputs of the network")
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                expected=f"tokenizer.json, model.onnx and classifier.json in {folder}",
                found=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                remedy="The model is incomplete or damaged: register it again.",
            ) from error
        return cls(tokenizer, session, description, num_threads=num_threads or available_cores())

    def predict_probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return float32[N, C], rows in the order of `texts`, each summing to 1."""
        return self.predict_encoded(*self.encoder.encode(texts))

    def predict_encoded(self, token_ids: Int32, offsets: Int64) -> npt.NDArray[np.float32]:
        """Return float32[N, C] for token_ids: int32[sum of lengths] and offsets: int64[N + 1]."""
        return self.scale(self.predict_logits(token_ids, offsets))

    def scale(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probabilities float32[N, C] that logits: float32[N, C] stand for."""
        return softmax(logits / np.float32(self.description.temperature))

    def predict_logits(self, token_ids: Int32, offsets: Int64) -> npt.NDArray[np.float32]:
        """Return the network's output float32[N, C] for token_ids: int32[sum of lengths] and offsets: int64[N + 1].

        Rows are run in batches of similar length; a row's answer depends on no other row and on no padding.
        """
        lengths = np.diff(offsets)
        logits = np.zeros((len(lengths), len(self.labels)), dtype=np.float32)

        def run(rows: Int64) -> None:
            feed = {"token_ids": pad_batch(token_ids, offsets, rows), "lengths": lengths[rows].astype(np.int32)}
            logits[rows] = self.session.run(["logits"], feed)[0]

        batches = list(length_batches(lengths, BATCH_ROWS, max_tokens=BATCH_TOKENS))
        if len(batches) > 1:
            # The longest first: a long batch that starts last would leave the other threads without work.
            list(self.threads.map(run, reversed(batches)))
        elif batches:
            run(batches[0])  # Handing one batch to a thread would cost a short request a switch.
        return logits


def _check_format(folder: Path, version: int) -> None:
    """Raise ModelError for a later format, before its unknown fields look like damage."""
    if version > FORMAT_VERSION:
        raise ModelError(
            expected=f"a classifier of format {FORMAT_VERSION} or earlier in {folder}",
            found=f"format {version}",
            remedy="Update this package.",
        )


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return probabilities float32[N, C] that sum to 1 per row."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
