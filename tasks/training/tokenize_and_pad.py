"""Texts -> token_ids, with a vocabulary fitted on train rows only. Each batch is padded later."""

from pathlib import Path
from typing import Any

import numpy as np
from prefect import get_run_logger

from lstm_model.config.tokenization import TokenizationConfig
from lstm_model.tokens.encoded_rows import EncodedRows
from lstm_model.tokens.text_encoder import UNK_ID, TextEncoder, starts_of
from lstm_model.tokens.tokenizer import MOST_HARDLY_READ, fit_tokenizer, hardly_read, unknown_rates
from tasks.runtime.artifacts import Progress
from tasks.runtime.stage_store import StageRecord, stage
from tasks.runtime.tracking import Run, log_metrics
from tasks.training.split_examples import read_texts

PROGRESS_ROWS = 20_000


def _report(record: StageRecord, run: Run) -> str:
    facts = record.facts
    metrics = {"tokens.vocab_size": facts["vocab_size"]}
    for name, part in facts["parts"].items():
        metrics |= {f"tokens.{name}_{key}": part[key] for key in ("unknown_rate", "mean_length", "hardly_read")}
    log_metrics(run, metrics)
    share, unknown = (facts["parts"]["validation"][key] for key in ("hardly_read", "unknown_rate"))
    if share > MOST_HARDLY_READ:
        get_run_logger().warning(
            "%.0f %% of the validation texts are mostly unknown words or one long word.", 100 * share
        )
    parts = ", parts of words," if facts["kind"] == "bpe" else ""
    return f"{facts['vocab_size']:,} tokens{parts} in the vocabulary; {unknown:.1%} of validation tokens are unknown"


@stage("encoded", report=_report)
def tokenize_and_pad(folder: Path, splits: StageRecord, config: TokenizationConfig) -> dict[str, Any]:
    """Fit the tokenizer on train texts; write tokenizer.json and the encoded train and validation rows."""
    labels = splits.facts["labels"]
    tokenizer = fit_tokenizer(read_texts(splits, "train")[0], config)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    encoder, parts = TextEncoder(tokenizer), {}
    for name in ("train", "validation"):
        texts, label_ids = read_texts(splits, name)
        encoded = EncodedRows(*_encode(encoder, texts, name), label_ids=label_ids)
        rates = unknown_rates(encoded.token_ids, encoded.offsets)
        encoded.save(folder, name)
        parts[name] = {
            "rows": len(encoded),
            "mean_length": float(encoded.lengths.mean()),
            "longest": int(encoded.lengths.max()),
            "unknown_rate": float(np.mean(encoded.token_ids == UNK_ID)),
            "hardly_read": float(hardly_read(texts, encoded.lengths, rates).mean()),
        }
    kind = "word" if encoder.by_piece else "bpe"
    return {"kind": kind, "vocab_size": tokenizer.get_vocab_size(), "labels": labels, "parts": parts}


def _encode(encoder: TextEncoder, texts: list[str], name: str) -> tuple[Any, Any]:
    progress = Progress(f"tokenize-{name}", f"tokenizing {name} rows", total=len(texts), unit="rows")
    parts = []
    for first in range(0, len(texts), PROGRESS_ROWS):
        parts.append(encoder.encode(texts[first : first + PROGRESS_ROWS]))
        progress.set(min(first + PROGRESS_ROWS, len(texts)))
    progress.close()
    lengths = np.concatenate([np.diff(offsets) for _, offsets in parts])
    return np.concatenate([token_ids for token_ids, _ in parts]), starts_of(lengths)
