"""fastText, its settings found by its autotune on the validation rows.

    python benchmarks/peers/fasttext_peer.py ROWS --seconds 60

--seconds 0 leaves the search out: 5 epochs, learning rate 0.5, words and pairs of words. Texts are lowercased, and
punctuation marks become words, as fastText's tutorial does.
"""

import argparse
import re
import tempfile
import time
from pathlib import Path

import fasttext
from exchange import print_answer, read_rows


def as_line(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--seconds", type=int, required=True)
    given = parser.parse_args()
    rows = {split: read_rows(given.rows, split) for split in ("train", "validation", "test")}
    names = sorted(set(rows["train"][1]))
    places = {name: place for place, name in enumerate(names)}  # fastText's labels cannot have spaces.
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        files = {split: Path(scratch, f"{split}.txt") for split in ("train", "validation")}
        for split, file in files.items():
            lines = (f"__label__{places[label]} {as_line(text)}\n" for text, label in zip(*rows[split], strict=True))
            file.write_text("".join(lines), "utf-8")
        settings = {"epoch": 5, "lr": 0.5, "wordNgrams": 2}
        if given.seconds:
            settings = {"autotuneValidationFile": str(files["validation"]), "autotuneDuration": given.seconds}
        model = fasttext.train_supervised(input=str(files["train"]), thread=2, verbose=0, **settings)
        fitted = time.perf_counter()
        test = predict(model, rows["test"][0], names)
        seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
        model.save_model(str(Path(scratch, "model.bin")))
        size = Path(scratch, "model.bin").stat().st_size
    print_answer(**seconds, bytes=size, test=test, validation=predict(model, rows["validation"][0], names))


def predict(model: "fasttext.FastText._FastText", texts: list[str], names: list[str]) -> list[str]:
    answers, _ = model.predict([as_line(text) for text in texts])
    # A text without a known word can have no answer.
    return [names[int(found[0].removeprefix("__label__"))] if found else names[0] for found in answers]


if __name__ == "__main__":
    main()
