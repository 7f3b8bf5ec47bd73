"""Measure time and memory of `lstm-text train` and fastText on 1,000 to 1,000,000 generated rows.

    make bench-cost ARGS="--rows 1000 10000"

Texts have 40 words on average, drawn from 50,000 with Zipf's law; one word in twenty comes from 200 words of the
row's label, of 8 labels. Words are made of 100 syllables, so that they share n-grams of characters. Rows depend only
on their number and the seed. fastText runs without its search: 5 epochs, words and pairs of words. bench.py explains
the columns.
"""

import argparse
import shlex
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from contestants import FASTTEXT, run_peer, train_preset
from labelled_rows import write_labelled_rows
from result_table import Scores, header, result_line

WORDS, LABELS, CLUES, MEAN_LENGTH, CLUE_SHARE = 50_000, 8, 200, 40, 1 / 20
SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwxyz" for vowel in "aeiou"]
CHUNK_ROWS = 10_000  # Bounds memory.


def generate(rows: int, *, seed: int = 42) -> pd.DataFrame:
    """Return text, label and split: a tenth each is validation and test."""
    rng = np.random.default_rng(seed)
    words = np.array([_word(number) for number in range(WORDS + LABELS * CLUES)], dtype=object)
    texts: list[str] = []
    label_ids = rng.permutation(np.arange(rows) % LABELS)
    for first in range(0, rows, CHUNK_ROWS):
        labels = label_ids[first : first + CHUNK_ROWS]
        lengths = np.maximum(rng.poisson(MEAN_LENGTH, len(labels)), 3)
        drawn = _zipf(rng, WORDS, lengths.sum())
        clues = WORDS + np.repeat(labels, lengths) * CLUES + _zipf(rng, CLUES, lengths.sum())
        chosen = words[np.where(rng.random(len(drawn)) < CLUE_SHARE, clues, drawn)]
        texts += [" ".join(part) for part in np.split(chosen, np.cumsum(lengths)[:-1])]
    split = np.array(["train"] * 8 + ["validation", "test"], dtype=object)[rng.permutation(rows) % 10]
    return pd.DataFrame({"text": texts, "label": [f"label {number}" for number in label_ids], "split": split})


def _word(number: int) -> str:
    syllables = SYLLABLES[number % 100]
    while number := number // 100:
        syllables += SYLLABLES[number % 100]
    return syllables


def _zipf(rng: np.random.Generator, size: int, count: int) -> npt.NDArray[np.int64]:
    """Draw int64[count] in [0, size), the k-th with a probability in proportion to 1 / k."""
    limits = np.cumsum(1 / np.arange(1, size + 1))
    return np.searchsorted(limits, rng.random(count) * limits[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--flags", default="", help="more flags for lstm-text train, as one argument")
    parser.add_argument("--peers-python", default=".bench-venv/bin/python", help="Python with fastText")
    given = parser.parse_args()
    for count in given.rows:
        rows = generate(count)
        scores = Scores(rows)
        print(header(f"{count:,} generated rows", scores), flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-rows-") as name:
            folder = Path(name)
            write_labelled_rows(rows, folder)
            texts = rows.loc[rows["split"] == "test", "text"].tolist()
            for preset in given.presets:
                ours = train_preset(folder, preset, seeds=[42], flags=shlex.split(given.flags), texts=texts)
                print(result_line(ours, scores), flush=True)
            peer = run_peer(FASTTEXT, ["fasttext_peer.py", "--seconds", "0"], folder, given.peers_python)
            print(result_line(peer, scores), flush=True)


if __name__ == "__main__":
    main()
