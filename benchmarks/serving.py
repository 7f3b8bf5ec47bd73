"""From text to label, side by side in one run: stock MLflow Keras flavour, this project, raw ONNX Runtime, Keras.

    python benchmarks/serving.py [FILE] [--rows N] [--quick]

FILE has a column text (default: data/headlines.csv, its rows repeated). Networks are the default and the `article`
preset with fresh weights: speed does not depend on their values. Every figure is a median of several rounds in which
the candidates take turns, because machines are noisy; compare the ratios.
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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from tasks.runtime.state.local_state import use_local_state

SCRATCH = tempfile.TemporaryDirectory(prefix="bench-serving-")
os.environ["LSTM_TEXT_STATE"] = SCRATCH.name  # Its own run state, tracking database included.
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

from lstm_model.classifier.classifier import BATCH_ROWS, Classifier, ClassifierDescription, softmax  # noqa: E402
from lstm_model.classifier.scores import score_rows, scores_schema  # noqa: E402
from lstm_model.config.model import ModelConfig  # noqa: E402
from lstm_model.config.pipeline import PRESETS, PipelineConfig  # noqa: E402
from lstm_model.data.reading import read_chunks  # noqa: E402
from lstm_model.drift.profile import ProfileBuilder  # noqa: E402
from lstm_model.tokens.batches import length_batches, pad_batch  # noqa: E402
from lstm_model.tokens.encoded_rows import EncodedRows  # noqa: E402
from lstm_model.tokens.text_encoder import encode_texts  # noqa: E402
from lstm_model.tokens.tokenizer import fit_tokenizer  # noqa: E402
from tasks.promotion.register_classifier import log_classifier  # noqa: E402

LABELS = ["business", "science", "sports", "world"]
MADE_BY = {"model_name": "bench", "model_version": "1", "run_id": "bench"}


def build(preset: str, texts: list[str], folder: Path) -> tuple[Any, dict[str, Path]]:
    """Return the Keras network and the folders of its float and int8 classifiers."""
    # Imported here: the processes that only score are without TensorFlow.
    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import build_network
    from lstm_model.network.quantization import write_int8_onnx

    config = PipelineConfig.model_validate(PRESETS[preset])
    tokenizer = fit_tokenizer(texts, config.tokenization)
    network = build_network(config.model, vocab_size=tokenizer.get_vocab_size(), num_classes=len(LABELS), seed=1)
    folders = {kind: folder / f"{preset}-{kind}" for kind in ("float", "int8")}
    for kind, place in folders.items():
        place.mkdir(parents=True)
        tokenizer.save(str(place / "tokenizer.json"))
        ClassifierDescription(labels=LABELS).write(place)
        if kind == "float":
            write_onnx(network, config.model, place / "model.onnx")
        else:
            token_ids, offsets = encode_texts(tokenizer, texts[:1_000])
            rows = EncodedRows(token_ids, offsets, np.zeros(len(offsets) - 1, np.int32))
            write_int8_onnx(network, config.model, place / "model.onnx", rows=rows)
    network.save(folders["float"] / "model.keras")
    return network, folders


def take_turns(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each candidate; all run once before anything is timed.

    A candidate that returns a float has taken its own time, in a process of its own.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            taken = run()
            if number:
                seconds[name].append(taken if isinstance(taken, float) else time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def predict_alone(network: Any, folders: dict[str, Path], texts: list[str], rounds: int) -> None:
    """The network alone, on the same token_ids."""
    classifiers = {kind: Classifier.load(folder) for kind, folder in folders.items()}
    token_ids, offsets = classifiers["float"].encoder.encode(texts)
    lengths = np.diff(offsets)
    padded = pad_batch(token_ids, offsets, np.arange(len(texts)))
    batches = list(length_batches(lengths, BATCH_ROWS))
    feeds = [
        {"token_ids": pad_batch(token_ids, offsets, rows), "lengths": lengths[rows].astype(np.int32)}
        for rows in batches
    ]
    raw = {kind: onnxruntime.InferenceSession((f / "model.onnx").read_bytes()) for kind, f in folders.items()}
    runs: dict[str, Callable[[], object]] = {
        "Keras predict, batch 32": lambda: network.predict(padded, batch_size=32, verbose=0),
        "Keras predict, batch 256": lambda: network.predict(padded, batch_size=256, verbose=0),
    }
    for kind in folders:
        runs[f"raw ONNX Runtime, {kind}"] = lambda kind=kind: [raw[kind].run(None, feed) for feed in feeds]
        runs[f"classifier, {kind}"] = lambda kind=kind: classifiers[kind].predict_encoded(token_ids, offsets)
    seconds = take_turns(runs, rounds)
    print("\n| the network alone | rows/s |\n| --- | ---: |")
    for name, value in seconds.items():
        print(f"| {name} | {len(texts) / value:,.0f} |")


def in_a_process(job: Callable[..., Any], *arguments: Any) -> Any:
    """Run a job in a new process, as a user's command would: without TensorFlow's threads and objects."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(job, *arguments).result()


def steps(folders: dict[str, Path], path: Path, rounds: int) -> None:
    """Print the share of each step."""
    print("\n| one chunk after the other, texts not seen before | read | tokenize | predict | write |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind, folder in folders.items():
        spent = [in_a_process(time_steps, folder, path) for _ in range(rounds)]
        shares = [{name: value / sum(one.values()) for name, value in one.items()} for one in spent]
        cells = [f"{statistics.median(share[name] for share in shares):.1%}" for name in shares[0]]
        print(f"| {kind} | " + " | ".join(cells) + " |")


def time_steps(folder: Path, path: Path) -> dict[str, float]:
    """Return the seconds of each step."""
    classifier = Classifier.load(folder)
    spent = dict.fromkeys(("read", "tokenize", "predict", "write"), 0.0)
    chunks = read_chunks(path, {"text": "text", "id": "id"})
    with pq.ParquetWriter(folder / "steps.parquet", scores_schema(LABELS)) as writer:
        while True:
            marks = [time.perf_counter()]
            chunk = next(chunks, None)
            if chunk is None:
                return spent
            marks.append(time.perf_counter())
            encoded = classifier.encoder.encode(chunk["text"].tolist())
            marks.append(time.perf_counter())
            known = _Answered(classifier.predict_encoded(*encoded))
            marks.append(time.perf_counter())
            writer.write_table(score_rows(chunk, known, first_row=1, made_by=MADE_BY))  # type: ignore[arg-type]
            marks.append(time.perf_counter())
            for name, begin, end in zip(spent, marks, marks[1:], strict=False):
                spent[name] += end - begin


def time_score(folder: Path, path: Path) -> float:
    """Return the seconds of `lstm-text score`'s engine: all of it but loading and Prefect."""
    from tasks.scoring import score_file
    from tasks.scoring.scoring_job import ScoringJob, ScoringRequest

    classifier = Classifier.load(folder)
    score_file._loaded = lambda job: (folder, classifier)  # type: ignore[assignment]
    request = ScoringRequest(
        path=path, output=folder / "out.parquet", model_uri="models:/bench/1", text_column="text", id_column="id",
        threshold=0, abstain_label="abstain",
    )  # fmt: skip
    made = {"model_name": "bench", "version": "1", "run_id": "bench"}
    job = ScoringJob(request=request, input_sha256="", chunk_rows=10_000, **made)
    job.folder.mkdir()
    started = time.perf_counter()
    with score_file._local(job) as (submit, window):
        # As by default, the rows are profiled on the way, for the comparison with the training reference.
        builder = ProfileBuilder(classifier.labels, classifier.encoder)
        chunks = score_file._score_chunks(job, submit, window, _Quiet(), builder)  # type: ignore[arg-type]
    job.publish(job.tables(chunks), scores_schema(LABELS))
    return time.perf_counter() - started


class _Answered:
    """A classifier that has answered already."""

    labels = LABELS

    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = probabilities

    def predict_probabilities(self, texts: list[str]) -> np.ndarray:
        return self.probabilities


class _Quiet:
    """A progress that shows nothing."""

    def set(self, done: int) -> None: ...

    def skip(self, done: int) -> None: ...


def end_to_end(network: Any, folders: dict[str, Path], path: Path, rows: int, rounds: int) -> None:
    """Read, tokenize, predict and write a file: `lstm-text score`'s engine, and Keras fed by the same tokenizer."""

    def with_keras(batch_size: int) -> None:
        encoder = Classifier.load(folders["float"]).encoder
        with pq.ParquetWriter(Path(SCRATCH.name) / "keras.parquet", scores_schema(LABELS)) as writer:
            for chunk in read_chunks(path, {"text": "text", "id": "id"}):
                token_ids, offsets = encoder.encode(chunk["text"].tolist())
                padded = pad_batch(token_ids, offsets, np.arange(len(chunk)))
                answered = _Answered(softmax(network.predict(padded, batch_size=batch_size, verbose=0)))
                table: pa.Table = score_rows(chunk, answered, first_row=1, made_by=MADE_BY)  # type: ignore[arg-type]
                writer.write_table(table)

    seconds = take_turns(
        {
            "Keras predict, batch 32": lambda: with_keras(32),
            "Keras predict, batch 256": lambda: with_keras(256),
            "lstm-text score, float": lambda: in_a_process(time_score, folders["float"], path),
            "lstm-text score, int8": lambda: in_a_process(time_score, folders["int8"], path),
        },
        rounds,
    )
    fastest = min(value for name, value in seconds.items() if name.startswith("Keras"))
    print(f"\n| file of {rows:,} rows: read, tokenize, predict, write | rows/s | beside the faster Keras |")
    print("| --- | ---: | ---: |")
    for name, value in seconds.items():
        print(f"| {name} | {rows / value:,.0f} | {fastest / value:.1f}x |")


class Server:
    """`mlflow models serve` of one model, or `lstm-text serve`, asked over a kept connection."""

    def __init__(self, model: str, first: bytes, *, command: str = "mlflow models serve") -> None:
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
                    raise SystemExit(f"no answer from {' '.join(line)}\n{log}") from None
                time.sleep(0.02)
        self.cold_start = time.perf_counter() - started

    def resident(self) -> float:
        """Return the MB that the process which answers holds."""
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
        raise SystemExit(f"{response.status}: {answer[:300]!r}")


def timed_requests(port: int, bodies: list[bytes]) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    seconds = []
    for body in bodies:
        started = time.perf_counter()
        ask(port, body, connection)
        seconds.append(time.perf_counter() - started)
    return seconds


def served(models: dict[str, tuple[str, Callable[[list[str]], bytes]]], texts: list[str], rounds: int) -> None:
    """Each model behind the same command; request bodies are made before the clock runs."""
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
    names = list(figures)
    print("\n| `mlflow models serve` | " + " | ".join(names) + " | ratio |")
    print("| --- | " + " | ".join("---:" for _ in names) + " | ---: |")
    for figure in figures[names[0]]:
        values = [statistics.median(figures[name][figure]) for name in names]
        ratio = values[0] / values[1] if "/s" not in figure else values[1] / values[0]
        print(f"| {figure} | " + " | ".join(f"{value:,.1f}" for value in values) + f" | {ratio:.1f}x |")


def measure(server: Server, ones: list[bytes], many: list[bytes]) -> dict[str, float]:
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
    """From the start of a command to the first answer, each with the version in the registry."""
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

    seconds = take_turns({name: lambda what=what: start(*what) for name, what in commands.items()}, rounds)
    slowest = next(iter(seconds.values()))
    print("\n| command to first answer | seconds | ratio |\n| --- | ---: | ---: |")
    for name, value in seconds.items():
        print(f"| {name} | {value:.1f} | {slowest / value:.1f}x |")


def stock_body(tokenizer_folder: Path, max_length: int) -> Callable[[list[str]], bytes]:
    """Tokenize outside the server, as the Keras flavour asks for, padded to a fixed length."""
    classifier = Classifier.load(tokenizer_folder)

    def body(texts: list[str]) -> bytes:
        token_ids, offsets = classifier.encoder.encode(texts)
        padded = np.zeros((len(texts), max_length), np.int32)
        shorter = pad_batch(token_ids, offsets, np.arange(len(texts)))
        padded[:, : shorter.shape[1]] = shorter
        return json.dumps({"inputs": padded.tolist()}).encode()

    return body


def stock_network(config: ModelConfig, vocab_size: int) -> Any:
    """Return a network of the same sizes from Keras's own layers: the flavour does not load a project's layers."""
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


def log_models(network: Any, folders: dict[str, Path], texts: list[str]) -> dict[str, str]:
    """Log the stock flavour and this project's models; return their addresses."""
    example = pd.DataFrame({"text": texts[:2]})
    token_ids = TensorSpec(np.dtype("int32"), (-1, -1))
    probabilities = TensorSpec(np.dtype("float32"), (-1, len(LABELS)))
    signature = ModelSignature(Schema([token_ids]), Schema([probabilities]))
    with mlflow.start_run():
        stock = mlflow.keras.log_model(network, name="stock", signature=signature, pip_requirements=["keras"])
        ours = {}
        for kind, folder in folders.items():
            served_files = [file for file in folder.iterdir() if file.suffix != ".keras"]
            ours[kind] = log_classifier(served_files, example, metadata={"labels": LABELS})
    return {"stock": stock.model_uri, **ours}


def import_seconds() -> float:
    command = [sys.executable, "-c", "import lstm_model.classifier.classifier"]
    return take_turns({"import": lambda: subprocess.run(command, check=True)}, 5)["import"]


def write_file(path: Path, texts: list[str], rows: int) -> None:
    repeated = [texts[i % len(texts)] for i in range(rows)]
    pd.DataFrame({"id": [f"r{i}" for i in range(rows)], "text": repeated}).to_csv(path, index=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path, default=Path("data/headlines.csv"))
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the file that is scored")
    parser.add_argument("--quick", action="store_true", help="one round of everything")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else 3
    texts = pd.concat(list(islice(read_chunks(arguments.file, {"text": "text"}), 2)))["text"].tolist()
    path = Path(SCRATCH.name) / "texts.csv"
    write_file(path, texts, arguments.rows)
    some = [texts[i % len(texts)] for i in range(4_000)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"{arguments.file.name}, {cores} cores; `import lstm_model.classifier.classifier`: {import_seconds():.2f} s",
        flush=True,
    )
    mlflow.set_experiment("bench")
    for preset in ("default", "article"):
        print(f"\n### Network `{preset}`")
        network, folders = build(preset, texts, Path(SCRATCH.name))
        predict_alone(network, folders, some, rounds)
        steps(folders, path, rounds)
        end_to_end(network, folders, path, arguments.rows, rounds)
        config = PipelineConfig.model_validate(PRESETS[preset])
        vocab_size = Classifier.load(folders["float"]).tokenizer.get_vocab_size()
        uris = log_models(stock_network(config.model, vocab_size), folders, texts)
        plain = lambda some: json.dumps({"inputs": some}).encode()  # noqa: E731
        models: dict[str, tuple[str, Any]] = {
            "stock Keras flavour": (uris["stock"], stock_body(folders["float"], config.tokenization.max_length)),
            "lstm-text": (uris["float"], plain),
            "lstm-text int8": (uris["int8"], plain),
        }
        served(models, some, rounds)
        stock, ours = (models[name] for name in ("stock Keras flavour", "lstm-text"))
        cold_starts((stock[0], stock[1](some[:1])), (ours[0], ours[1](some[:1])), max(rounds, 3))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
