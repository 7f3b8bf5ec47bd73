"""The model card holds what a reader of the registry needs, and fits MLflow's column."""

import pytest

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.pages.report import MAX_CHARACTERS, render_model_card
from tests.evaluations import decision, evaluation, run_facts, typed


def test_the_card_tells_data_training_figures_decision_and_how_to_serve() -> None:
    judged = evaluation(["cat", "dog"])
    card = render_model_card(typed(judged), decision(judged), run_facts())
    for told in [
        "# text-classifier version 4",
        "`" + "ab" * 32 + "`",
        "train 900, validation 100, test 120",
        "3 epochs, weights of epoch 2; 584,932 parameters.",
        "`model.lstm_units` = 64",
        f"| macro-F1 | {judged['candidate']['macro_f1']:.3f} |",
        "| cat | ",
        "**Calibration.**",
        "length 1 to 8 tokens (accuracy 0.500 of 40 rows)",
        "Not promoted, 2030-01-01 00:00:00 UTC: worse than the champion, version 3, beyond chance.",
        "http://127.0.0.1:5001/#/experiments/1/runs/0123456789abcdef0123456789abcdef",
        "lstm-text serve --model-uri models:/text-classifier/4",
    ]:
        assert told in card
    assert "None" not in card


def test_the_card_of_a_first_model_without_baseline_and_calibration_has_no_gaps() -> None:
    judged = {**evaluation(["cat", "dog"]), "baseline": None, "calibration": None, "slices": []}
    bare = run_facts(tags={}, metrics={}, epochs=[], config=PipelineConfig())
    card = render_model_card(typed(judged), decision(judged, first=True), bare)
    assert "None" not in card and "nan" not in card
    assert "| metric | this model | interval |\n|---|---:|---:|\n| macro-F1 |" in card
    assert "All settings have their defaults." in card


def test_labels_mean_nothing_in_markdown() -> None:
    judged = evaluation(["a|b", "[x](http://evil.example) <b>", "two\nlines"])
    card = render_model_card(typed(judged), decision(judged), run_facts())
    assert "| a\\|b | " in card and "\\[x\\](http://evil.example) &lt;b&gt;" in card and "| two lines | " in card


@pytest.mark.parametrize("classes", [2, 12, 30, 200])
def test_the_card_fits_whatever_the_number_and_length_of_labels(classes: int) -> None:
    judged = evaluation([f"label {n} " + "x*" * 100 for n in range(classes)])
    config = PipelineConfig(data={"labels": ["value " * 1_000, "b"]}, training={"seed": 1, "batch_size": 7})
    card = render_model_card(typed(judged), decision(judged, reason="r" * 5_000), run_facts(config=config))
    assert len(card) <= MAX_CHARACTERS
    assert "## Decision" in card and "lstm-text serve" in card  # Labels and settings gave way, not these.
