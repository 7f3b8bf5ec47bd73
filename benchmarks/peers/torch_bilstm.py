"""A BiLSTM in PyTorch with the shape of this project's default network, without any code of this project.

    python benchmarks/peers/torch_bilstm.py ROWS

20,000 words, 256 tokens, E 200, H 32 in each direction; the maximum over the tokens of the states and of the
embeddings; dropout 0.3, word dropout 0.2; Adam with learning rate 0.003, gradients cut to norm 1, batches of 64 rows of
similar length, at most 30 epochs; it stops after 3 epochs without a better validation loss and keeps the best weights.
"""

import copy
import io
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from exchange import print_answer, read_rows
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

UNKNOWN, BATCH = 1, 64


class Network(nn.Module):
    def __init__(self, vocab_size: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 200, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        self.lstm = nn.LSTM(200, 32, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(200 + 64, num_classes))

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """token_ids: int64[B, L], right-padded with 0 -> logits float32[B, C]."""
        inside = token_ids != 0
        if self.training:
            token_ids = token_ids.masked_fill((torch.rand(token_ids.shape) < 0.2) & inside, UNKNOWN)
        embedded = self.embedding(token_ids)
        packed = pack_padded_sequence(embedded, inside.sum(1), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        both = torch.cat([states, embedded], 2).masked_fill(~inside[:, :, None], float("-inf"))
        return self.head(both.amax(1))


def batches(rows: list[torch.Tensor], size: int, *, shuffle: bool) -> Iterator[list[int]]:
    """Yield the places of rows of similar length: sorted within pools of 50 batches, in random order if shuffled."""
    order = random.sample(range(len(rows)), len(rows)) if shuffle else list(range(len(rows)))
    pools = [
        sorted(order[first : first + 50 * size], key=lambda row: len(rows[row]))
        for first in range(0, len(order), 50 * size)
    ]
    found = [pool[first : first + size] for pool in pools for first in range(0, len(pool), size)]
    yield from random.sample(found, len(found)) if shuffle else found


def logits(network: Network, rows: list[torch.Tensor]) -> torch.Tensor:
    network.eval()
    answers: list[torch.Tensor] = [torch.empty(0)] * len(rows)
    with torch.inference_mode():
        for batch in batches(rows, 256, shuffle=False):
            answer = network(pad_sequence([rows[row] for row in batch], batch_first=True))
            for row, values in zip(batch, answer, strict=True):
                answers[row] = values
    return torch.stack(answers)


def fit(
    network: Network, rows: list[torch.Tensor], labels: torch.Tensor, held_out: tuple[list[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Train; yield after each epoch. The network ends with its best weights."""
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    best, best_loss, waited = network.state_dict(), float("inf"), 0
    for _ in range(30):
        network.train()
        for batch in batches(rows, BATCH, shuffle=True):
            optimizer.zero_grad()
            answer = network(pad_sequence([rows[row] for row in batch], batch_first=True))
            nn.functional.cross_entropy(answer, labels[batch]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        loss = float(nn.functional.cross_entropy(logits(network, held_out[0]), held_out[1]))
        waited = 0 if loss < best_loss else waited + 1
        if not waited:
            best, best_loss = copy.deepcopy(network.state_dict()), loss
        yield
        if waited == 3:
            break
    network.load_state_dict(best)


def main() -> None:
    folder = Path(sys.argv[1])
    data = {split: read_rows(folder, split) for split in ("train", "validation", "test")}
    names = sorted(set(data["train"][1]))
    random.seed(42)
    torch.manual_seed(42)
    started = time.perf_counter()
    words = Counter(word for text in data["train"][0] for word in tokens(text))
    vocabulary = {word: place for place, (word, _) in enumerate(words.most_common(20_000 - 2), start=2)}

    def encoded(split: str) -> list[torch.Tensor]:
        return [
            torch.tensor([vocabulary.get(word, UNKNOWN) for word in tokens(text)] or [UNKNOWN])
            for text in data[split][0]
        ]

    def label_ids(split: str) -> torch.Tensor:
        return torch.tensor([names.index(label) for label in data[split][1]])

    network = Network(len(vocabulary) + 2, len(names))
    held_out = (encoded("validation"), label_ids("validation"))
    ends = [time.perf_counter() - started for _ in fit(network, encoded("train"), label_ids("train"), held_out)]
    fitted = time.perf_counter()
    answers = [names[place] for place in logits(network, encoded("test")).argmax(1).tolist()]
    seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
    torch.save(network.state_dict(), file := io.BytesIO())
    print_answer(**seconds, bytes=file.tell(), epoch_ends=ends, test=answers)


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())[:256]


if __name__ == "__main__":
    main()
