"""Texts -> token_ids, with a vocabulary fitted on train rows only. Each batch is padded later."""

from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.tokens.encoded_rows import EncodedRows
from lstm_model.tokens.text_encoder import encode_texts
from lstm_model.tokens.tokenizer import fit_tokenizer, unknown_rate
from tasks.runtime import tracking
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run
from tasks.training.split_examples import read_rows

PROGRESS_ROWS = 20_000


def _report(record: StageRecord, run: Run) -> None:
    facts = record.facts
    metrics = {"tokens.vocab_size": facts["vocab_size"]}
    for name, part in facts["parts"].items():
        metrics |= {f"tokens.{name}_{key}": part[key] for key in ("unknown_rate", "mean_length")}
    tracking.log_metrics(run, metrics)


@stage("encoded", report=_report)
def tokenize_and_pad(folder: Path, splits: StageRecord, config: TokenizationConfig) -> dict[str, Any]:
    """Fit the tokenizer on train texts; write tokenizer.json, train.npz and validation.npz, ragged."""
    labels = splits.facts["labels"]
    train = read_rows(splits, "train")
    tokenizer = fit_tokenizer(train["text"].tolist(), config)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    parts = {}
    for name, rows in (("train", train), ("validation", read_rows(splits, "validation"))):
        label_ids = rows["label"].map(labels.index).to_numpy(np.int32)
        encoded = EncodedRows(*_encode(tokenizer, rows["text"].tolist(), name), label_ids=label_ids)
        encoded.save(folder / f"{name}.npz")
        parts[name] = {
            "rows": len(encoded),
            "mean_length": float(encoded.lengths.mean()),
            "longest": int(encoded.lengths.max()),
            "unknown_rate": unknown_rate(encoded.token_ids),
        }
    return {"vocab_size": tokenizer.get_vocab_size(), "labels": labels, "parts": parts}


def _encode(tokenizer: Tokenizer, texts: list[str], name: str) -> tuple[Any, Any]:
    progress = Progress(f"tokenize-{name}", f"tokenizing {name} rows", total=len(texts), unit="rows")
    parts = []
    for first in range(0, len(texts), PROGRESS_ROWS):
        parts.append(encode_texts(tokenizer, texts[first : first + PROGRESS_ROWS]))
        progress.set(min(first + PROGRESS_ROWS, len(texts)))
    progress.close(f"tokenized {len(texts):,} {name} rows")
    lengths = np.concatenate([np.diff(offsets) for _, offsets in parts])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return np.concatenate([token_ids for token_ids, _ in parts]), offsets
