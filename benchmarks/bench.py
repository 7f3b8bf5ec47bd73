"""Train this project's presets and the peers on the same rows; print the tables of docs/results.md.

    make bench DATA="a.parquet b.parquet" ARGS="--seeds 3"

A file has the columns text and label. The column split is optional; without it, rows are split as by the pipeline.

- fit: from texts to a trained model, in seconds; ours from tokenizing to exporting, TensorFlow's import included.
- whole command: a process of its own, imports, reading and predicting included; ours also validates, tracks, evaluates,
  registers and starts the served model once.
- peak memory: of the process tree.
- training, rows/s: train rows by the mean seconds of an epoch, validation included, without the first epoch.
- prediction, rows/s: test rows from text to label; Keras's time to trace its graph counts.
- size: what is served: ONNX graph, tokenizer and the rest; for a peer its saved or pickled model.

The linear models are fitted a second time, on train and validation rows. fastText's autotune gets the seconds that
the preset default took to fit. A model that fails is a line that says so.
"""

import argparse
import shlex
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from contestants import FASTTEXT, KERAS, TORCH, Contestant, run_linear, run_peer, train_preset
from labelled_rows import read_labelled_rows, write_labelled_rows
from result_table import Scores, header, result_line, summary

from lstm_model.config.pipeline import PRESETS

FIRST_SEED = 42
AUTOTUNE_SECONDS = 10  # The least, and without our default's time.


def compare(folder: Path, texts: list[str], given: argparse.Namespace) -> Iterator[Contestant]:
    """Yield each model whose kind is wanted, trained on the rows in the folder."""
    seconds = float(AUTOTUNE_SECONDS)
    for preset in [preset for preset in PRESETS if fnmatch(preset, given.presets)]:
        seeds = [FIRST_SEED + number for number in range(given.seeds if preset == "default" else 1)]
        ours = train_preset(folder, preset, seeds=seeds, flags=shlex.split(given.flags), texts=texts)
        if preset == "default" and ours.trainings:
            seconds = max(seconds, ours.mean("fit"))
        yield ours
    if "linear" in given.peers:
        yield from run_linear(folder)
    if "fasttext" in given.peers:
        yield run_peer(FASTTEXT, ["fasttext_peer.py", "--seconds", f"{seconds:.0f}"], folder, given.peers_python)
    if "keras" in given.peers:
        yield run_peer(KERAS, ["keras_article.py"], folder)
    if "torch" in given.peers:
        yield run_peer(TORCH, ["torch_bilstm.py"], folder, given.peers_python)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="labelled files")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of the preset default (3)")
    parser.add_argument("--presets", default="*", help="pattern of the presets' names, for example '[!a]*' (all)")
    parser.add_argument("--flags", default="", help="more flags for lstm-text train, as one argument")
    kinds = ["linear", "fasttext", "keras", "torch"]
    parser.add_argument("--peers", nargs="*", choices=kinds, default=kinds, help="kinds of peers (all)")
    parser.add_argument("--peers-python", default=".bench-venv/bin/python", help="Python with fastText and PyTorch")
    parser.add_argument("--output", type=Path, default=Path("mlruns/bench.md"), help="the tables (mlruns/bench.md)")
    return parser.parse_args()


def main() -> None:
    given = parse()
    files: dict[str, tuple[Scores, list[Contestant]]] = {}
    with given.output.open("w", encoding="utf-8") as output:

        def show(text: str) -> None:
            for stream in (None, output):
                print(text, file=stream, flush=True)

        for path in given.files:
            rows = read_labelled_rows(path)
            scores, found = files.setdefault(path.name, (Scores(rows), []))
            show(header(path.name, scores))
            with tempfile.TemporaryDirectory(prefix="bench-rows-") as folder:
                write_labelled_rows(rows, Path(folder))
                for model in compare(Path(folder), rows.loc[rows["split"] == "test", "text"].tolist(), given):
                    found.append(model)
                    show(result_line(model, scores))
        show(summary(files))


if __name__ == "__main__":
    main()
