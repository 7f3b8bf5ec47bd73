"""`make bench` on a small file: its table's columns, lines and accuracies."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from samples import write_tiny_file

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import bench  # noqa: E402
import contestants  # noqa: E402
import cost  # noqa: E402
from contestants import Contestant, Trained, epoch_seconds, fit_seconds, run_peer  # noqa: E402
from labelled_rows import read_labelled_rows, write_labelled_rows  # noqa: E402
from result_table import COLUMNS, Scores, accuracy_differences, best_linear, result_line, summary  # noqa: E402

ROWS = pd.DataFrame(
    {
        "label": ["a", "b", "a", "b", "a", "b", "a", "b"],
        "split": ["train", "train", "validation", "validation", "test", "test", "test", "test"],
    }
)


def trained(test: list[str], validation: list[str] | None = None) -> Trained:
    sizes = {"fit": 2.0, "command": 4.0, "memory": 1e9, "predict": 0.5, "size": 2e6}
    return Trained(test=test, validation=validation or [], epoch_seconds=0.5, **sizes)


def cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.strip("|").split("|")]


def test_a_line_shows_mean_and_range_of_the_seeds_and_rows_per_second() -> None:
    ours = Contestant("ours", [trained(["a", "b", "a", "b"]), trained(["a", "b", "a", "a"])])
    found = dict(zip(COLUMNS, cells(result_line(ours, Scores(ROWS))), strict=True))
    assert found["accuracy"] == "0.8750 (0.7500 to 1.0000)"
    assert found["macro-F1"] == "0.8667 (0.7333 to 1.0000)"
    assert [found[name] for name in ("fit", "peak memory", "size")] == ["2.0 s", "1.00 GB", "2.0 MB"]
    assert [found[name] for name in ("training, rows/s", "prediction, rows/s")] == ["4", "8"]


def test_validation_rows_choose_the_linear_model_not_test_rows() -> None:
    words = Contestant("linear SVM, words", [trained(["a", "b", "a", "b"], ["a", "a"])])
    both = Contestant("linear SVM, both", [trained(["b", "b", "a", "b"], ["a", "b"])], "", ["b", "b", "a", "a"])
    scores = Scores(ROWS)
    assert best_linear([words, both], scores, lambda name: True) is both
    ours = Contestant("**ours**", [trained(["a", "b", "a", "b"])])
    drawn = accuracy_differences(ours, both, scores)
    assert (drawn >= 0).all() and np.mean(drawn) == pytest.approx(0.25, abs=0.02)
    lines = summary({"x": (scores, [ours, words, both]), "y": (scores, [ours, words, both])}).splitlines()
    assert "| x | **ours** | 1.0000 | linear SVM, both (of linear SVMs) | 0.7500 | +0.2500 |" in "\n".join(lines)
    too = "fitted on validation rows too"
    assert f"| y | **ours** | 1.0000 | linear SVM, both (of linear SVMs, {too}) | 0.5000 |" in "\n".join(lines)
    assert lines[-1].startswith(f"| mean of 2 | **ours** | 1.0000 | the best of all linear models, {too} | 0.5000 |")
    assert lines[-2].startswith("| mean of 2 | **ours** | 1.0000 | the best of all linear models | 0.7500 | +0.2500 |")


def test_a_peer_that_cannot_run_is_a_line_with_the_reason(tmp_path: Path) -> None:
    missing = run_peer(contestants.FASTTEXT, ["fasttext_peer.py"], tmp_path, str(tmp_path / "python"))
    assert missing.problem == "not run: `make bench-peers`"
    failed = run_peer("linear", ["linear.py", "svc", "words"], tmp_path)
    assert failed.problem.startswith("failed: FileNotFoundError") and "train.jsonl" in failed.problem
    assert len(cells(result_line(failed, Scores(ROWS)))) == len(COLUMNS)


def test_the_first_epoch_does_not_count() -> None:
    assert epoch_seconds([10.0, 11.0, 12.0], fit=13.0) == 1.0
    assert epoch_seconds([10.0], fit=13.0) == 13.0
    assert epoch_seconds([], fit=13.0) is None


@pytest.mark.parametrize(("ngrams", "expected"), [(7.0, 14.0), (20.0, 22.0), (0.0, 14.0)])
def test_what_runs_at_the_same_time_counts_once(ngrams: float, expected: float) -> None:
    stages = {"tokenize_and_pad": 2.0, "fit_ngram_models": ngrams, "fit_baseline": 99.0, "fetch_start": 0.1,
              "train_model": 10.0, "export_classifier": 2.0}  # fmt: skip
    assert fit_seconds(stages) == expected


def test_generated_rows_depend_on_the_seed_alone() -> None:
    rows = cost.generate(1_000)
    assert rows.equals(cost.generate(1_000)) and not rows.equals(cost.generate(1_000, seed=1))
    assert rows["split"].value_counts().to_dict() == {"train": 800, "validation": 100, "test": 100}
    assert rows["text"].str.split().map(len).mean() == pytest.approx(40, abs=1)


def test_linear_peers_get_all_rows_and_a_text_of_two_lines_stays_one_row(tmp_path: Path) -> None:
    rows = read_labelled_rows(write_tiny_file(tmp_path / "tiny.csv", rows=120))
    rows.loc[rows.index[rows["split"] == "train"][0], "text"] += "\nand\u2028more"
    write_labelled_rows(rows, tmp_path)
    found = run_peer("NB-SVM", ["linear.py", "nb-svm", "words"], tmp_path)
    assert found.problem == ""
    scores = Scores(rows)
    assert len(found.trainings[0].test) == len(scores.rows["test"])
    assert scores.metric("accuracy", found.trainings[0].validation, "validation") == 1.0


def test_the_bench_prints_and_writes_a_table_of_ours_and_a_linear_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slow: it runs `lstm-text train` in an empty state folder, two epochs on 90 rows."""
    file, output = write_tiny_file(tmp_path / "tiny.csv", rows=120), tmp_path / "bench.md"
    monkeypatch.setattr(contestants, "LINEAR", {"linear SVM, words": ["linear.py", "svc", "words"]})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]))
    flags = ["--presets", "default", "--seeds", "1", "--flags", "--training.epochs 2", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["bench.py", str(file), *flags, "--peers", "linear"])
    bench.main()
    printed = output.read_text("utf-8")
    assert capsys.readouterr().out == printed
    table = [cells(line) for line in printed.splitlines() if line.startswith("|")]
    ours, linear = (dict(zip(table[0], line, strict=True)) for line in table[2:4])
    assert ours["model"] == "**lstm-text `default`**" and linear["model"] == "linear SVM, words"
    assert ours["accuracy"] == linear["accuracy"] == linear[COLUMNS[3]] == "1.0000"  # A word tells the labels apart.
    measured = [name for name in COLUMNS[4:] if name != "training, rows/s"]
    assert all(ours[name] and linear[name] for name in measured) and ours["training, rows/s"]
    assert "mean of" not in printed and "tiny.csv | **lstm-text `default`** | 1.0000" in printed
