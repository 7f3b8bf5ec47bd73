"""Compare the speed of this project, raw ONNX Runtime, Keras and MLflow's Keras flavour, from text to label.

    python benchmarks/serving.py [FILE] [--rows N] [--quick]

FILE has a column text (default: data/headlines.csv); its rows are repeated as needed. The networks are the presets
`default` and `article` with untrained weights, which are as fast as trained ones. Every figure is the median of several
rounds, in which the candidates take turns because machines are noisy. Compare the ratios.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from tasks.runtime.state.local_state import use_local_state

SCRATCH = tempfile.TemporaryDirectory(prefix="bench-serving-")
os.environ["LSTM_TEXT_STATE"] = SCRATCH.name  # Run state and tracking database of this benchmark.
for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
    os.environ.pop(name, None)
use_local_state()

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from mlflow.models import ModelSignature  # noqa: E402
from mlflow.types import Schema, TensorSpec  # noqa: E402

from lstm_model.classifier.classifier import (  # noqa: E402
    BATCH_ROWS,
    Classifier,
    ClassifierDescription,
    available_cores,
    softmax,
)
from lstm_model.classifier.scores import score_rows, scores_schema  # noqa: E402
from lstm_model.config.model import ModelConfig  # noqa: E402
from lstm_model.config.pipeline import PRESETS, PipelineConfig  # noqa: E402
from lstm_model.data.reading import CHUNK_ROWS, read_chunks  # noqa: E402
from lstm_model.digests import digest_file  # noqa: E402
from lstm_model.drift.profile import ProfileBuilder  # noqa: E402
from lstm_model.ngrams.counts import KINDS  # noqa: E402
from lstm_model.tokens.encoded_rows import length_batches, pad_batch  # noqa: E402
from lstm_model.tokens.tokenizer import fit_tokenizer  # noqa: E402
from tasks.promotion.register_classifier import log_classifier  # noqa: E402

LABELS = ["business", "science", "sports", "world"]
MADE_BY = {"model_name": "bench", "model_version": "1", "run_id": "bench"}


def build(preset: str, texts: list[str]) -> tuple[Any, Path]:
    """Return the Keras network and the folder of its classifier."""
    # Imported here, because the processes that only score do not load TensorFlow.
    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import build_network
    from lstm_model.ngrams.fit import fit_ngrams

    config = PipelineConfig.model_validate(PRESETS[preset])
    tokenizer = fit_tokenizer(texts, config.tokenization)
    network = build_network(config.model, vocab_size=tokenizer.get_vocab_size(), num_classes=len(LABELS), seed=1)
    folder = Path(SCRATCH.name) / preset
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    kinds = [kind for kind in KINDS if getattr(config.ngrams, kind)]
    for kind in kinds:  # Any labels do: only the speed is measured.
        label_ids = np.arange(len(texts), dtype=np.int32) % len(LABELS)
        fit_ngrams(texts, label_ids, kind=kind, num_classes=len(LABELS)).save(folder, kind, bayes=0.3)
    ClassifierDescription(labels=LABELS, mixture=dict.fromkeys(kinds, 1.0)).write(folder)
    write_onnx(network, config.model, folder / "model.onnx")
    return network, folder


def take_turns(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each candidate, after one round that does not count.

    A candidate that returns a float has measured its seconds itself, in another process.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            taken = run()
            if number:
                seconds[name].append(taken if isinstance(taken, float) else time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def predict_alone(network: Any, folder: Path, texts: list[str], rounds: int) -> None:
    """Print the speed of the network alone, on the same token_ids."""
    classifier = Classifier.load(folder)
    token_ids, offsets = classifier.encoder.encode(texts)
    lengths = np.diff(offsets)
    padded = pad_batch(token_ids, offsets, np.arange(len(texts)))
    batches = list(length_batches(lengths, BATCH_ROWS))
    feeds = [
        {"token_ids": pad_batch(token_ids, offsets, rows), "lengths": lengths[rows].astype(np.int32)}
        for rows in batches
    ]
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    runs: dict[str, Callable[[], object]] = {
        "Keras predict, batch 32": lambda: network.predict(padded, batch_size=32, verbose=0),
        "Keras predict, batch 256": lambda: network.predict(padded, batch_size=256, verbose=0),
        "raw ONNX Runtime": lambda: [session.run(None, feed) for feed in feeds],
        "the LSTM in the classifier": lambda: classifier.network_logits(token_ids, offsets),
        "classifier, from texts, n-grams included": lambda: classifier.predict_probabilities(texts),
    }
    seconds = take_turns(runs, rounds)
    print("\n| the network alone | rows/s |\n| --- | ---: |")
    for name, value in seconds.items():
        print(f"| {name} | {len(texts) / value:,.0f} |")


def in_a_process(job: Callable[..., Any], *arguments: Any) -> Any:
    """Run a job in a new process, like a user's command: without TensorFlow's threads and objects."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(job, *arguments).result()


def steps(folder: Path, path: Path, rounds: int) -> None:
    """Print each step's share of the time, chunk by chunk in a new process."""
    spent = [in_a_process(time_steps, folder, path) for _ in range(rounds)]
    print("\n| step | share of the time |\n| --- | ---: |")
    for name in spent[0]:
        print(f"| {name} | {statistics.median(one[name] / sum(one.values()) for one in spent):.1%} |")


def time_steps(folder: Path, path: Path) -> dict[str, float]:
    """Return the seconds of each step."""
    classifier = Classifier.load(folder)
    spent = dict.fromkeys(("read", "tokenize", "LSTM", "n-grams", "write"), 0.0)
    chunks = read_chunks(path, {"text": "text", "id": "id"})
    with pq.ParquetWriter(folder / "steps.parquet", scores_schema(LABELS)) as writer:
        while True:
            marks = [time.perf_counter()]
            chunk = next(chunks, None)
            if chunk is None:
                return spent
            marks.append(time.perf_counter())
            texts = chunk["text"].tolist()
            encoded = classifier.encoder.encode(texts)
            marks.append(time.perf_counter())
            probabilities = classifier.scale(classifier.network_logits(*encoded))
            marks.append(time.perf_counter())
            if classifier.ngrams:
                classifier.ngrams.margins(texts)
            marks.append(time.perf_counter())
            writer.write_table(scores(chunk, probabilities))
            marks.append(time.perf_counter())
            for name, begin, end in zip(spent, marks, marks[1:], strict=False):
                spent[name] += end - begin


def time_score(folder: Path, path: Path) -> float:
    """Return the seconds that `lstm-text score` takes without loading the model and without Prefect."""
    from prefect.logging import disable_run_logger

    from tasks.scoring import score_file
    from tasks.scoring.scoring_job import ScoringJob, ScoringRequest

    classifier = Classifier.load(folder)
    score_file._loaded = lambda job: (folder, classifier)  # type: ignore[assignment]
    request = ScoringRequest(
        path=path, output=folder / "out.parquet", model_uri="models:/bench/1", text_column="text", id_column="id",
        threshold=0, abstain_label="abstain",
    )  # fmt: skip
    job = ScoringJob(
        request=request, input_sha256=digest_file(path), model_name="bench", version="1", run_id="bench",
        columns={"text": "text", "id": "id"}, chunk_rows=CHUNK_ROWS,
    )  # fmt: skip
    job.folder.mkdir()
    started = time.perf_counter()
    # The rows are profiled for the comparison with the training reference, as by default.
    builder = ProfileBuilder(classifier.labels, classifier.encoder)
    with disable_run_logger(), score_file._local(job) as (submit, window):
        chunks = score_file._score_chunks(job, submit, window, _Quiet(), builder)  # type: ignore[arg-type]
    job.publish(score_file._count_answers(map(job.table, range(chunks)), Counter(), builder), scores_schema(LABELS))
    return time.perf_counter() - started


def scores(chunk: pd.DataFrame, probabilities: np.ndarray) -> pa.Table:
    """Return the rows of a chunk with answers that are already predicted."""
    answered = SimpleNamespace(labels=LABELS, predict_probabilities=lambda texts: probabilities)
    return score_rows(chunk, answered, first_row=1, made_by=MADE_BY)  # type: ignore[arg-type]


class _Quiet:
    """A progress bar that shows nothing."""

    def set(self, done: int) -> None: ...

    def skip(self, done: int) -> None: ...


def end_to_end(network: Any, folder: Path, path: Path, rows: int, rounds: int) -> None:
    """Print the speed of reading, tokenizing, predicting and writing a file: `lstm-text score`, and Keras."""

    def with_keras(batch_size: int) -> None:
        encoder = Classifier.load(folder).encoder
        with pq.ParquetWriter(Path(SCRATCH.name) / "keras.parquet", scores_schema(LABELS)) as writer:
            for chunk in read_chunks(path, {"text": "text", "id": "id"}):
                token_ids, offsets = encoder.encode(chunk["text"].tolist())
                padded = pad_batch(token_ids, offsets, np.arange(len(chunk)))
                logits = network.predict(padded, batch_size=batch_size, verbose=0)
                writer.write_table(scores(chunk, softmax(logits)))

    seconds = take_turns(
        {
            "Keras predict, batch 32": lambda: with_keras(32),
            "Keras predict, batch 256": lambda: with_keras(256),
            "lstm-text score": lambda: in_a_process(time_score, folder, path),
        },
        rounds,
    )
    fastest = min(value for name, value in seconds.items() if name.startswith("Keras"))
    print(f"\n| file of {rows:,} rows: read, tokenize, predict, write | rows/s | ratio to the faster Keras |")
    print("| --- | ---: | ---: |")
    for name, value in seconds.items():
        print(f"| {name} | {rows / value:,.0f} | {fastest / value:.1f}x |")


class Server:
    """`mlflow models serve` or `lstm-text serve` of one model, on a free port."""

    def __init__(self, model: str, first: bytes, *, command: str = "mlflow models serve") -> None:
        """Start the server and wait for its answer to the first request."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        program, *words = command.split()
        line = [str(folder / program), *words, "--model-uri", model, "--host", "127.0.0.1", "--port", str(self.port)]
        line += ["--env-manager", "local"] if program == "mlflow" else []
        self.log = (Path(SCRATCH.name) / "server.log").open("w")
        started = time.perf_counter()
        self.process = subprocess.Popen(line, env=environment, start_new_session=True, stdout=self.log, stderr=self.log)
        while True:
            try:
                ask(self.port, first)
                break
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - started > 120:
                    log = Path(self.log.name).read_text()[-3_000:]
                    raise SystemExit(f"The server does not answer: {' '.join(line)}\n{log}") from None
                time.sleep(0.02)
        self.cold_start = time.perf_counter() - started

    def resident(self) -> float:
        """Return the resident memory of the process that answers, in MB."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text, command = status.read_text(), (status.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if b"uvicorn" in command and str(self.port).encode() in command and b"bash" not in command:
                return int(text.split("VmRSS:")[1].split()[0]) / 1e3
        return float("nan")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)


def ask(port: int, body: bytes, connection: http.client.HTTPConnection | None = None) -> None:
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise SystemExit(f"The server answers with status {response.status}: {answer[:300]!r}")


def timed_requests(port: int, bodies: list[bytes]) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    seconds = []
    for body in bodies:
        started = time.perf_counter()
        ask(port, body, connection)
        seconds.append(time.perf_counter() - started)
    return seconds


def served(models: dict[str, tuple[str, Callable[[list[str]], bytes]]], texts: list[str], rounds: int) -> None:
    """Print the speed and memory of each model behind `mlflow models serve`. Making request bodies is not timed."""
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in models}
    for _ in range(rounds):
        for name, (model, body) in models.items():
            ones = [body([text]) for text in texts[:200]]
            many = [body(texts[i * 1_000 : (i + 1) * 1_000]) for i in range(3)]
            server = Server(model, ones[0])
            try:
                found = measure(server, ones, many)
            finally:
                server.stop()
            for figure, value in found.items():
                figures[name].setdefault(figure, []).append(value)
    print("\n| `mlflow models serve` | " + " | ".join(figures) + " | ratio |")
    print("| --- | ---: | ---: | ---: |")
    stock, ours = figures.values()
    for figure in stock:
        theirs, own = statistics.median(stock[figure]), statistics.median(ours[figure])
        ratio = own / theirs if "/s" in figure else theirs / own
        print(f"| {figure} | {theirs:,.1f} | {own:,.1f} | {ratio:.1f}x |")


def measure(server: Server, ones: list[bytes], many: list[bytes]) -> dict[str, float]:
    """Return the figures of a running server, after a few requests that do not count."""
    timed_requests(server.port, ones[:20])
    single = sorted(timed_requests(server.port, ones))
    timed_requests(server.port, many[:1])
    thousand = timed_requests(server.port, many)
    started = time.perf_counter()
    with ThreadPoolExecutor(8) as clients:
        shares = [ones[i::8] for i in range(8)]
        together = sorted(chain.from_iterable(clients.map(lambda some: timed_requests(server.port, some), shares)))
    elapsed = time.perf_counter() - started
    return {
        "1 row, p50 ms": 1e3 * single[len(single) // 2],
        "1 row, p99 ms": 1e3 * single[int(0.99 * len(single))],
        "1,000-row requests, rows/s": 1_000 / statistics.median(thousand),
        "8 clients, 1 row each, requests/s": len(together) / elapsed,
        "8 clients, p99 ms": 1e3 * together[int(0.99 * len(together))],
        "memory of the server, MB": server.resident(),
    }


def cold_starts(stock: tuple[str, bytes], ours: tuple[str, bytes], rounds: int) -> None:
    """Print the seconds from the start of a command to its first answer, with models from the registry."""
    versions = [mlflow.register_model(uri, f"bench-{number}") for number, (uri, _) in enumerate((stock, ours))]
    addresses = [f"models:/{version.name}/{version.version}" for version in versions]
    commands = {
        "stock Keras flavour, `mlflow models serve`": (addresses[0], stock[1], "mlflow models serve"),
        "lstm-text, `mlflow models serve`": (addresses[1], ours[1], "mlflow models serve"),
        "lstm-text, `lstm-text serve`": (addresses[1], ours[1], "lstm-text serve"),
    }

    def start(model: str, first: bytes, command: str) -> float:
        server = Server(model, first, command=command)
        server.stop()
        return server.cold_start

    seconds = take_turns({name: partial(start, *what) for name, what in commands.items()}, rounds)
    slowest = next(iter(seconds.values()))
    print("\n| command to first answer | seconds | ratio |\n| --- | ---: | ---: |")
    for name, value in seconds.items():
        print(f"| {name} | {value:.1f} | {slowest / value:.1f}x |")


def plain_body(texts: list[str]) -> bytes:
    return json.dumps({"inputs": texts}).encode()


def stock_body(classifier: Classifier, max_length: int) -> Callable[[list[str]], bytes]:
    """Return a function from texts to a request body. The Keras flavour needs token_ids, padded to a fixed length."""

    def body(texts: list[str]) -> bytes:
        token_ids, offsets = classifier.encoder.encode(texts)
        padded = np.zeros((len(texts), max_length), np.int32)
        shorter = pad_batch(token_ids, offsets, np.arange(len(texts)))
        padded[:, : shorter.shape[1]] = shorter
        return json.dumps({"inputs": padded.tolist()}).encode()

    return body


def stock_network(config: ModelConfig, vocab_size: int) -> Any:
    """Return a network of the same sizes with Keras's own layers, because the flavour loads no others."""
    import keras

    layers = keras.layers
    token_ids = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(vocab_size, config.embedding_dim, mask_zero=True)(token_ids)
    states = embedded
    for number in range(config.lstm_layers):
        every = config.pooling != "last" or number + 1 < config.lstm_layers
        lstm = layers.LSTM(config.lstm_units, activation=config.activation, return_sequences=every)
        states = (layers.Bidirectional(lstm) if config.bidirectional else lstm)(states)
    hidden = states if config.pooling == "last" else layers.GlobalMaxPooling1D()(states)
    if config.embedding_skip:
        hidden = layers.Concatenate()([hidden, layers.GlobalMaxPooling1D()(embedded)])
    if config.dense_units:
        hidden = layers.Dense(config.dense_units, "relu")(hidden)
    return keras.Model(token_ids, layers.Dense(len(LABELS), "softmax")(hidden))


def log_models(network: Any, folder: Path, texts: list[str]) -> tuple[str, str]:
    """Log a model of the stock flavour and one of this project; return their URIs."""
    example = pd.DataFrame({"text": texts[:2]})
    token_ids = TensorSpec(np.dtype("int32"), (-1, -1))
    probabilities = TensorSpec(np.dtype("float32"), (-1, len(LABELS)))
    signature = ModelSignature(Schema([token_ids]), Schema([probabilities]))
    with mlflow.start_run():
        stock = mlflow.keras.log_model(network, name="stock", signature=signature, pip_requirements=["keras"])
        files = [folder / name for name in ("tokenizer.json", "model.onnx", "classifier.json")] + [
            *folder.glob("*.npy")
        ]
        return str(stock.model_uri), log_classifier(files, example, metadata={"labels": LABELS})


def import_seconds(module: str) -> float:
    command = [sys.executable, "-c", f"import {module}"]
    return take_turns({"import": lambda: subprocess.run(command, check=True)}, 5)["import"]


def write_file(path: Path, texts: list[str], rows: int) -> None:
    repeated = [texts[i % len(texts)] for i in range(rows)]
    pd.DataFrame({"id": [f"r{i}" for i in range(rows)], "text": repeated}).to_csv(path, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "file", nargs="?", type=Path, default=Path("data/headlines.csv"), help="file with a column text"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="rows to score from a file (default 20000)")
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else 3
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    texts = pd.concat(list(islice(read_chunks(arguments.file, {"text": "text"}), 2)))["text"].tolist()
    path = Path(SCRATCH.name) / "texts.csv"
    write_file(path, texts, arguments.rows)
    some = [texts[i % len(texts)] for i in range(4_000)]
    module = "lstm_model.classifier.classifier"
    print(f"{arguments.file.name}, {available_cores()} cores; `import {module}`: {import_seconds(module):.2f} s")
    mlflow.set_experiment("bench")
    for preset in ("default", "article"):
        print(f"\n### Network `{preset}`")
        network, folder = build(preset, texts)
        predict_alone(network, folder, some, rounds)
        steps(folder, path, rounds)
        end_to_end(network, folder, path, arguments.rows, rounds)
        config = PipelineConfig.model_validate(PRESETS[preset])
        classifier = Classifier.load(folder)
        vocab_size = classifier.tokenizer.get_vocab_size()
        stock, ours = log_models(stock_network(config.model, vocab_size), folder, texts)
        tokenized = stock_body(classifier, config.tokenization.max_length)
        served({"stock Keras flavour": (stock, tokenized), "lstm-text": (ours, plain_body)}, some, rounds)
        cold_starts((stock, tokenized(some[:1])), (ours, plain_body(some[:1])), rounds)


if __name__ == "__main__":
    main()
