"""Compare the time of `lstm-text train` with that of the library alone: with nothing cached, and with all cached.

    python benchmarks/overhead.py [FILE] [--rounds N]

cold: a process that only uses lstm_model, then `lstm-text train` in an empty state folder. Both times include imports.
The overhead excludes the server that the promotion gate starts (`seconds.check_servable`). cached: the same command
again, with a running Prefect server, compared with the time of its imports. Figures are medians of the rounds.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commands import TRAIN, environment, timed

# What a training imports when everything is cached. MLflow imports the two stores at its first request.
STORES = "mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store"
IMPORTS = f"import atexit, gc, flows.cli, flows.training, mlflow.pyfunc, {STORES}; atexit.register(gc.freeze)"


def bare(path: Path) -> None:
    """Read, check, split, tokenize, train, export and evaluate; print the seconds of the imports and the accuracy."""
    started = time.monotonic()
    import keras
    import numpy as np
    import pandas as pd

    from lstm_model.classifier.answers import answer_table
    from lstm_model.classifier.calibration import calibrate
    from lstm_model.classifier.classifier import Classifier, ClassifierDescription, mix
    from lstm_model.classifier.mixture import fit_mixture
    from lstm_model.config.data import DataConfig
    from lstm_model.config.pipeline import PipelineConfig
    from lstm_model.data.cases import find_cases, read_cases
    from lstm_model.data.reading import read_chunks
    from lstm_model.data.row_rules import derive_columns, list_bad_rows, row_rules
    from lstm_model.data.splitting import split_rows
    from lstm_model.digests import digest_text
    from lstm_model.evaluation.baseline import answer_with_baseline
    from lstm_model.evaluation.behaviour import check_cases, check_invariance
    from lstm_model.evaluation.evaluation import evaluate_answers, evaluate_slices
    from lstm_model.evaluation.mistakes import confident_mistakes, label_errors
    from lstm_model.network.export import write_onnx
    from lstm_model.network.network import build_network
    from lstm_model.network.training import train_network
    from lstm_model.ngrams.counts import KINDS
    from lstm_model.ngrams.fit import fit_ngrams
    from lstm_model.tokens.encoded_rows import EncodedRows
    from lstm_model.tokens.text_encoder import TextEncoder
    from lstm_model.tokens.tokenizer import fit_tokenizer, unknown_rates

    imported = time.monotonic() - started
    config = PipelineConfig(data=DataConfig(path=path))
    rows = pd.concat(list(read_chunks(path, {"text": "text", "label": "label"})), ignore_index=True)
    rows.insert(0, "example_id", [str(number) for number in range(1, len(rows) + 1)])
    rules = row_rules(config.data, given_validation=False)
    if len(list_bad_rows(rows, derive_columns(rows, config.data), rules)):
        raise SystemExit(f"{path} has bad rows. Fix them, or use another file.")
    split = split_rows(text_digests=rows["text"].map(digest_text), labels=rows["label"], config=config.split)
    labels = sorted(set(rows["label"]))
    train, validation, test = (rows[split == name].reset_index(drop=True) for name in ("train", "validation", "test"))
    tokenizer = fit_tokenizer(train["text"].tolist(), config.tokenization)

    def encoded(part: Any) -> EncodedRows:
        label_ids = part["label"].map(labels.index).to_numpy(np.int32)
        return EncodedRows(*TextEncoder(tokenizer).encode(part["text"].tolist()), label_ids)

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
        texts, label_ids = train["text"].tolist(), encoded(train).label_ids
        for kind in KINDS:
            fit_ngrams(texts, label_ids, kind=kind, num_classes=len(labels)).save(folder, kind, bayes=0.3)
        ClassifierDescription(labels=labels, mixture=dict.fromkeys(KINDS, 1.0)).write(folder)
        parts = Classifier.load(folder).predict_parts(validation["text"].tolist())
        weights = fit_mixture(parts, held_out.label_ids).weights
        fitted = calibrate(logits=mix(parts, weights), label_ids=held_out.label_ids)
        ClassifierDescription(labels=labels, temperature=fitted.temperature, mixture=weights).write(folder)
        served = Classifier.load(folder)

    def answers(part: Any) -> Any:
        token_ids, offsets = served.encoder.encode(part["text"].tolist())
        table = answer_table(served.predict_probabilities(part["text"].tolist()), labels)
        table.insert(0, "tokens", np.diff(offsets))
        table.insert(1, "unknown_rate", unknown_rates(token_ids, offsets))
        return pd.concat([part, table.rename(columns={"label": "predicted"})], axis=1)

    answered = answers(test)
    known = [(part["text"].tolist(), part["label"].tolist()) for part in (train, validation)]
    baseline = answer_with_baseline(train=known[0], validation=known[1], texts=test["text"].tolist())
    answered["baseline_predicted"] = baseline.labels
    evaluated = evaluate_answers(answered, labels=labels, config=config.evaluation)
    evaluate_slices(answered, labels=labels, config=config.evaluation)
    check_invariance(served.predict_probabilities, answered, labels=labels)
    if cases := find_cases(config.data, config.evaluation):
        check_cases(served.predict_probabilities, read_cases(cases, labels=labels), labels=labels)
    confident_mistakes(answered)
    label_errors(
        pd.concat([answered.assign(split="test"), answers(validation).assign(split="validation")]), labels=labels
    )
    print(json.dumps({"imports": imported, "accuracy": evaluated["candidate"]["accuracy"]}))


@contextmanager
def prefect_server(variables: dict[str, str]) -> Iterator[str]:
    """Run a Prefect server on a free port until the block ends; yield the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--host=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{api}/health", timeout=2)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The Prefect server does not start: {' '.join(command)}") from None
                time.sleep(0.2)
        yield api
    finally:
        process.terminate()
        process.wait(30)


def measure(path: Path, state: Path) -> dict[str, Any]:
    """Return the seconds of one round."""
    variables, train = environment(state), [*TRAIN, "--data.path", str(path)]
    alone, library = timed([sys.executable, __file__, str(path), "--bare"], variables)
    cold, first = timed(train, variables)
    ours, bare_accuracy = first["metrics"]["accuracy"], library["accuracy"]
    if abs(ours - bare_accuracy) > 1e-9:
        raise SystemExit(
            f"The command reached accuracy {ours}, the library alone {bare_accuracy}. Update bare() in "
            f"{Path(__file__).name} so that both do the same work."
        )
    homes = {"PREFECT_HOME": str(state / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with prefect_server({**variables, **homes}) as api:
        cached, again = timed(train, {**variables, "PREFECT_API_URL": api})
    imports, _ = timed([sys.executable, "-c", IMPORTS], variables)
    return {"alone": alone, "library_imports": library["imports"], "cold": cold, "first": first["seconds"],
            "cached": cached, "again": again["seconds"], "imports": imports}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path("data/headlines.csv"), help="a labelled file")
    parser.add_argument("--bare", action="store_true", help="run the library alone, once")
    parser.add_argument("--rounds", type=int, default=3, help="how often to repeat everything (default 3)")
    arguments = parser.parse_args()
    if arguments.bare:
        bare(arguments.file)
        return
    found = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-overhead-") as state:
            found.append(measure(arguments.file, Path(state)))

    def median(seconds: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(map(seconds, found))

    print("| nothing cached | seconds |\n| --- | ---: |")
    print(f"| `lstm-text train` | {median(lambda one: one['cold']):.1f} |")
    print(f"| of which the gate's server | {median(lambda one: one['first']['check_servable']):.1f} |")
    print(f"| the library alone | {median(lambda one: one['alone']):.1f} |")
    print(f"| of which imports | {median(lambda one: one['library_imports']):.1f} |")
    print(f"| overhead | {median(lambda one: one['cold'] - one['alone'] - one['first']['check_servable']):.1f} |")
    print("\n| everything cached, Prefect server running | seconds |\n| --- | ---: |")
    print(f"| `lstm-text train` | {median(lambda one: one['cached']):.1f} |")
    print(f"| of which the gate's server | {median(lambda one: one['again']['check_servable']):.1f} |")
    print(f"| of which imports | {median(lambda one: one['imports']):.1f} |")
    print(f"| overhead | {median(lambda one: one['cached'] - one['imports'] - one['again']['check_servable']):.1f} |")
    print("\n| step with its report | seconds, nothing cached | seconds, everything cached |\n| --- | ---: | ---: |")
    for name in found[0]["first"]:
        cold, cached = (statistics.median(one[which].get(name, 0.0) for one in found) for which in ("first", "again"))
        print(f"| {name.replace('_', ' ')} | {cold:.2f} | {cached:.2f} |")


if __name__ == "__main__":
    main()
