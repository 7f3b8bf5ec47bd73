"""Try changed files with the reader, and changed texts with a classifier, for some seconds; run it with make fuzz.

What ends with anything but an error for a user, or takes over 10 s, is written to mlruns/fuzz/, and the exit code is 1;
after a crash of the process, `trying` has the input. Each input follows from the seed and its number.
"""

import argparse
import faulthandler
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from lstm_model.classifier.classifier import Classifier
from lstm_model.data.reading import read_chunks, read_columns
from lstm_model.data.texts import text_problem
from lstm_model.errors import LstmTextError
from tests.hostile import TooSlow, time_limit
from tests.library.test_damaged_files import FILES
from tests.library.test_reading_properties import TOKENS
from tests.library.test_scores import TEXTS
from tests.models import write_classifier

FINDINGS = Path(__file__).parents[1] / "mlruns" / "fuzz"
EXPORTS = {
    "b.json": [{"id": 1, "data": {"text": "a"}, "annotations": [{"result": [{"value": {"choices": ["x"]}}]}]}] * 3,
    "b.jsonl": {"text": "a", "accept": ["x"], "answer": "accept", "meta": {"id": 7}},
}
SEEDS = FILES | {name: json.dumps(content).encode() for name, content in EXPORTS.items()}
SEEDS |= {"b.tsv": FILES["a.csv"].replace(b",", b"\t"), "utf16.csv": FILES["a.csv"].decode().encode("utf-16")}
SEEDS |= {
    "escaped.csv": FILES["a.csv"].replace(b'""', b'\\"'),
    "sep.csv": b"sep=;\n" + FILES["a.csv"].replace(b",", b";"),
}


def changed(data: bytes, chosen: random.Random) -> bytes:
    """Return the data with one to eight changes: bits, bytes, cuts, splices, repeats and hostile words."""
    for _ in range(chosen.choice([1, 1, 2, 4, 8])):
        first, last = sorted(chosen.choices(range(len(data) + 1), k=2))
        part, way = data[first:last], chosen.randrange(7)
        if way == 0 and part:
            part = bytes([part[0] ^ 1 << chosen.randrange(8)]) + part[1:]
        elif way == 1 and part:
            part = chosen.randbytes(1) + part[1:]
        elif way == 2:
            part = b"" if chosen.random() < 0.5 else part[: chosen.randrange(9)]
        elif way == 3:
            part = chosen.choice([*SEEDS.values()])[:last] + part
        elif way == 4:
            part *= chosen.choice([2, 3, 50])
        else:
            part = chosen.choice(TOKENS) * chosen.choice([1, 1, 2, 999]) + part
        data = (data[:first] + part + data[last:])[: 1 << 18]
    return data


def try_file(folder: Path, chosen: random.Random, _: Classifier) -> None:
    """Read a changed file, perhaps under another name."""
    name = chosen.choice([*SEEDS])
    path = folder / (name if chosen.random() < 0.8 else chosen.choice([*SEEDS]))
    path.write_bytes(changed(SEEDS[name], chosen))
    columns = {name: name for name in chosen.sample(["text", "label", "id"], k=chosen.randrange(1, 4))}
    read_columns(path, names=columns.values())
    for chunk in read_chunks(path, columns, chunk_rows=chosen.choice([1, 7, 10_000])):
        assert all(isinstance(cell, str | None) for name in chunk for cell in chunk[name])


def try_texts(folder: Path, chosen: random.Random, classifier: Classifier) -> None:
    """Classify changed texts; those that `predict` refuses are left out."""
    texts: list[str] = []
    while len(texts) < chosen.randrange(20):
        text = changed(chosen.choice([*TEXTS.values()])[:9_999].encode(), chosen).decode(errors="replace")
        other = "".join(map(chr, chosen.choices(range(0x110000), k=chosen.randrange(9))))
        texts.append(chosen.choice([text, other, text + other, other * 999])[:20_000])
    (folder / "texts.json").write_text(json.dumps(texts))
    answers = classifier.predict_probabilities([text for text in texts if text_problem(text) is None])
    assert np.isfinite(answers).all() and np.allclose(answers.sum(axis=1), 1)


def run(seconds: float, seed: int) -> int:
    """Try inputs for some seconds, write the findings, return their number."""
    trying, findings, refused, number = FINDINGS / "trying", 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        classifier = Classifier.load(write_classifier(Path(folder, "classifier")))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number += 1
            trying.mkdir(parents=True, exist_ok=True)
            try:
                with time_limit(10):
                    chosen = random.Random(f"{seed}/{number}")
                    (try_texts if number % 5 == 0 else try_file)(trying, chosen, classifier)
            except LstmTextError:
                refused += 1
            except (Exception, TooSlow):  # noqa: BLE001  any kind is a finding
                findings += 1
                (trying / "traceback.txt").write_text(traceback.format_exc())
                trying.rename(FINDINGS / f"{seed}-{number}")
                print(FINDINGS / f"{seed}-{number}", traceback.format_exc(limit=-1))
            shutil.rmtree(trying, ignore_errors=True)
    print(f"seed {seed}: {number:,} inputs, {refused:,} refused, {findings} findings")
    return findings


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Try changed files and texts.")
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    given = arguments.parse_args()
    faulthandler.enable()
    print(f"seed {given.seed}", flush=True)
    sys.exit(min(1, run(given.seconds, given.seed)))
