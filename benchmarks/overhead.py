"""What the flow costs beside the bare library doing the same work: cold on the sample, and with everything cached.

    python benchmarks/overhead.py [FILE]

cold: a process that calls lstm_model alone, and `lstm-text train` in an empty state folder, one after the other; both
times include their imports. Not counted as overhead: the gate's server (`seconds.check_servable`). cached: the same
command again, with a Prefect server up; beside it, what its imports alone take. Medians of the rounds.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
# What a training imports when everything is cached; the two stores come with MLflow's first request.
STORES = "mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store"
IMPORTS = f"import atexit, gc, flows.cli, flows.training, mlflow.pyfunc, {STORES}; atexit.register(gc.freeze)"


def bare(path: Path) -> None:
    """The library's part of a training: read, check, split, tokenize, train, export, evaluate. Prints its seconds."""
    started = time.monotonic()
    import keras
    import numpy as np
    import pandas as pd

    from lstm_model.classifier.answers import answer_table
    from lstm_model.classifier.calibration import calibrate
    from lstm_model.classifier.classifier import Classifier, ClassifierDescription
    from lstm_model.config.data import DataConfig
    from lstm_model.config.pipeline import PipelineConfig
    from lstm_model.data.cases import find_cases, read_cases
    from lstm_model.data.reading import read_chunks
    from lstm_model.data.row_rules import derive_columns, list_bad_rows, row_rules
    from lstm_model.data.splitting import split_rows
    from lstm_model.digests import digest_text
    from lstm_model.evaluation.baseline import predict_with_baseline
    from lstm_model.evaluation.behaviour import check_cases, check_invariance
    from lstm_model.evaluation.evaluation import judge_answers, judge_slices
    from lstm_model.evaluation.mistakes import confident_mistakes, label_errors
    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import build_network
    from lstm_model.network.training import train_network
    from lstm_model.tokens.encoded_rows import EncodedRows
    from lstm_model.tokens.text_encoder import encode_texts
    from lstm_model.tokens.tokenizer import fit_tokenizer, unknown_rates

    imported = time.monotonic() - started
    config = PipelineConfig(data=DataConfig(path=path))
    rows = pd.concat(list(read_chunks(path, {"text": "text", "label": "label"})), ignore_index=True)
    rows.insert(0, "example_id", [str(number) for number in range(1, len(rows) + 1)])
    rules = row_rules(config.data, given_validation=False)
    if len(list_bad_rows(rows, derive_columns(rows, config.data), rules)):
        raise SystemExit("the file has bad rows")
    split = split_rows(text_digests=rows["text"].map(digest_text), labels=rows["label"], config=config.split)
    labels = sorted(set(rows["label"]))
    train, validation, test = (rows[split == name].reset_index(drop=True) for name in ("train", "validation", "test"))
    tokenizer = fit_tokenizer(train["text"].tolist(), config.tokenization)

    def encoded(part: Any) -> EncodedRows:
        label_ids = part["label"].map(labels.index).to_numpy(np.int32)
        return EncodedRows(*encode_texts(tokenizer, part["text"].tolist()), label_ids)

    network = build_network(
        config.model, vocab_size=tokenizer.get_vocab_size(), num_classes=len(labels), seed=config.training.seed
    )
    held_out = encoded(validation)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train_network(network, encoded(train), held_out, config.training, checkpoint=folder / "checkpoint")
        network.save(folder / "network.keras")
        network = keras.saving.load_model(folder / "network.keras")
        write_onnx(network, config.model, folder / "model.onnx")
        tokenizer.save(str(folder / "tokenizer.json"))
        ClassifierDescription(labels=labels).write(folder)
        served = Classifier.load(folder)
        fitted = calibrate(
            logits=served.predict_logits(held_out.token_ids, held_out.offsets), label_ids=held_out.label_ids
        )
        ClassifierDescription(labels=labels, temperature=fitted.temperature).write(folder)
        served = Classifier.load(folder)

    def answers(part: Any) -> Any:
        token_ids, offsets = served.encoder.encode(part["text"].tolist())
        table = answer_table(served.scale(served.predict_logits(token_ids, offsets)), labels)
        table.insert(0, "tokens", np.diff(offsets))
        table.insert(1, "unknown_rate", unknown_rates(token_ids, offsets))
        return pd.concat([part, table.rename(columns={"label": "predicted"})], axis=1)

    answered = answers(test)
    answered["baseline_predicted"] = predict_with_baseline(
        train_texts=train["text"].tolist(), train_labels=train["label"].tolist(), texts=test["text"].tolist()
    )
    judged = judge_answers(answered, labels=labels, config=config.evaluation)
    judge_slices(answered, labels=labels, config=config.evaluation)
    check_invariance(served.predict_probabilities, answered, labels=labels)
    if cases := find_cases(config.data, config.evaluation):
        check_cases(served.predict_probabilities, read_cases(cases, labels=labels), labels=labels)
    confident_mistakes(answered)
    label_errors(
        pd.concat([answered.assign(split="test"), answers(validation).assign(split="validation")]), labels=labels
    )
    print(json.dumps({"imports": imported, "accuracy": judged["candidate"]["accuracy"]}))


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """Run a command; return its seconds and the JSON object on its last line."""
    started = time.monotonic()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}\n{result.stderr[-3_000:]}")
    return seconds, json.loads(result.stdout.strip().splitlines()[-1]) if result.stdout.strip() else {}


class PrefectServer:
    """A Prefect server on a free loopback port, with its state in a folder."""

    def __init__(self, environment: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.api = f"http://127.0.0.1:{port}/api"
        command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def __enter__(self) -> str:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.api}/health", timeout=2)
                return self.api
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the Prefect server does not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)


def measure(path: Path, state: Path) -> dict[str, Any]:
    """Return the seconds of one round."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment = {**kept, "LSTM_TEXT_STATE": str(state), "TF_CPP_MIN_LOG_LEVEL": "3"}
    train = [str(BIN / "lstm-text"), "train", "--data.path", str(path), "--json"]
    alone, library = timed([sys.executable, __file__, str(path), "--bare"], environment)
    cold, first = timed(train, environment)
    if abs(first["metrics"]["accuracy"] - library["accuracy"]) > 1e-9:
        raise SystemExit(f"not the same work: accuracy {first['metrics']['accuracy']} and {library['accuracy']}")
    homes = {"PREFECT_HOME": str(state / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with PrefectServer({**environment, **homes}) as api:
        cached, again = timed(train, {**environment, "PREFECT_API_URL": api})
    imports, _ = timed([sys.executable, "-c", IMPORTS], environment)
    return {"alone": alone, "library_imports": library["imports"], "cold": cold, "first": first["seconds"],
            "cached": cached, "again": again["seconds"], "imports": imports}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path, default=Path("data/headlines.csv"))
    parser.add_argument("--bare", action="store_true", help="the library's part alone")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.bare:
        bare(arguments.file)
        return
    found = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-overhead-") as state:
            found.append(measure(arguments.file, Path(state)))

    def median(name: str) -> float:
        return statistics.median(one[name] for one in found)

    def gate(which: str) -> float:
        return statistics.median(one[which]["check_servable"] for one in found)

    overhead = statistics.median(one["cold"] - one["alone"] - one["first"]["check_servable"] for one in found)
    rest = statistics.median(one["cached"] - one["imports"] - one["again"]["check_servable"] for one in found)
    print("| cold, on the sample | seconds |\n| --- | ---: |")
    print(f"| `lstm-text train`, whole | {median('cold'):.1f} |")
    print(f"| of it the gate's server | {gate('first'):.1f} |")
    print(f"| the library alone, imports ({median('library_imports'):.1f} s) included | {median('alone'):.1f} |")
    print(f"| overhead | {overhead:.1f} |")
    print("\n| everything cached, Prefect's server up | seconds |\n| --- | ---: |")
    print(f"| `lstm-text train`, whole | {median('cached'):.1f} |")
    print(f"| of it the gate's server | {gate('again'):.1f} |")
    print(f"| of it imports | {median('imports'):.1f} |")
    print(f"| overhead beside imports | {rest:.1f} |")
    print("\n| step, with its report | cold | cached |\n| --- | ---: | ---: |")
    for name in found[0]["first"]:
        cold, cached = (statistics.median(one[which].get(name, 0.0) for one in found) for which in ("first", "again"))
        print(f"| {name.replace('_', ' ')} | {cold:.2f} | {cached:.2f} |")


if __name__ == "__main__":
    main()
