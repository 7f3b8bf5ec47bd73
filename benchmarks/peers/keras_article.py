"""The tutorial's script in plain Keras: the network of the preset `article`, without any code of this project.

    python benchmarks/peers/keras_article.py ROWS

TextVectorization with 8,000 words and 35 tokens, `model.fit` in batches of 64, at most 120 epochs; it stops after 3
epochs without a better validation loss and keeps the best weights.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from exchange import print_answer, read_rows
from keras import layers


def build(num_classes: int) -> keras.Model:
    steps = [
        layers.Embedding(8_000, 45, mask_zero=True),
        layers.LSTM(128, activation="relu", return_sequences=True),
        layers.Dropout(0.2),
        layers.LSTM(128, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(32, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(num_classes, activation="softmax"),
    ]
    model = keras.Sequential([keras.Input((35,), dtype="int32"), *steps])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    folder = Path(sys.argv[1])
    rows = {split: read_rows(folder, split) for split in ("train", "validation", "test")}
    names = sorted(set(rows["train"][1]))
    keras.utils.set_random_seed(42)
    started = time.perf_counter()
    vectorize = layers.TextVectorization(8_000, output_sequence_length=35)
    vectorize.adapt(tf.constant(rows["train"][0]))
    model = build(len(names))

    def encoded(split: str) -> Any:
        return vectorize(tf.constant(rows[split][0])).numpy().astype("int32")

    def label_ids(split: str) -> Any:
        return np.array([names.index(label) for label in rows[split][1]])

    ends: list[float] = []
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter() - started))
    held_out = (encoded("validation"), label_ids("validation"))
    training = {"batch_size": 64, "epochs": 120, "validation_data": held_out, "callbacks": [stop, clock], "verbose": 0}
    model.fit(encoded("train"), label_ids("train"), **training)
    fitted = time.perf_counter()
    places = model.predict(encoded("test"), batch_size=256, verbose=0).argmax(axis=1)
    answers = [names[place] for place in places]
    seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "model.keras")
        model.save(file, include_optimizer=False)
        size = file.stat().st_size
    print_answer(**seconds, bytes=size, epoch_ends=ends, test=answers)


if __name__ == "__main__":
    main()
