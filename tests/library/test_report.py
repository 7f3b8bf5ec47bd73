"""The report: whole, safe against what texts hold, and in need of nothing but itself."""

import re
from typing import Any

import pytest

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.pages.diagrams import draw_diagrams
from lstm_model.pages.report import RunFacts, render_report
from tests.evaluations import decision, evaluation, predictions, run_facts, typed
from tests.pages import Page

SECTIONS = ["Decision: not promoted", "Metrics", "Classes", "Slices", "Calibration", "Behaviour", "Confident mistakes",
            "Likely label errors", "Training", "Data and settings", "Reproduce"]  # fmt: skip
ODD = '<script>alert(1)</script><img src="http://evil.example/x.png" onerror=alert(2)>'


def variant(name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return evaluation, decision and changed facts of one of the runs that the contract allows."""
    labels = {"two classes": ["no", "yes"], "30 classes": [f"class {n}" for n in range(30)],
              "31 classes": [f"class {n}" for n in range(31)]}.get(name, ["cat", "dog", "owl"])  # fmt: skip
    judged = evaluation(labels, predictions(labels, rows=124, skill=1.0 if name == "no mistakes" else 0.8))
    if name == "bare":
        judged |= {"baseline": None, "calibration": None, "slices": [], "mistakes": [], "label_errors": [],
                   "behaviour": {"invariance": [], "cases": None}}  # fmt: skip
    decided = decision(judged, first=name == "first model")
    if name == "unservable":
        served = {"reason": "no tokenizer.json", "asked": 0, "cold_start_seconds": None, "p95_milliseconds": None}
        decided |= {"rules": [], "comparison": None, "servability": served}
    bare = {"config": PipelineConfig(), "tags": {}, "metrics": {}, "epochs": [], "packages": {}}
    return judged, decided, bare if name == "bare" else {}


def render(judged: dict[str, Any], decided: dict[str, Any], facts: RunFacts, **before: Any) -> str:
    """Return the page with the diagrams that the evaluation draws."""
    reliability = judged["candidate"]["reliability"]
    return render_report(typed(judged), decided, facts, diagrams=draw_diagrams(reliability, **before))


VARIANTS = ["compared", "first model", "bare", "unservable", "no mistakes", "two classes", "30 classes", "31 classes"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_run_gets_a_whole_page_that_loads_nothing(name: str) -> None:
    judged, decided, facts = variant(name)
    page = Page(html := render(judged, decided, run_facts(**facts)))
    assert page.open == [] and page.unnamed_plots == 0
    assert len(page.ids) == len(set(page.ids))
    assert {heading for heading in page.headings if heading.strip()} >= set(SECTIONS[1:])
    assert [target for target in page.loaded if not target.startswith("#")] == []
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert "default-src 'none'" in html
    assert not re.search(r"\b(None|nan|inf|undefined|Undefined)\b", page.text)


@pytest.mark.parametrize("hardly", [0.2, 0.8])
def test_texts_that_the_network_hardly_reads_are_a_warning(hardly: float) -> None:
    judged, decided, _ = variant("compared")
    page = Page(render(judged | {"coverage": {"unknown_rate": 0.25, "hardly_read": hardly}}, decided, run_facts()))
    assert ("80% of the test rows are mostly unknown words or one long word (25% of all" in page.text) == (hardly > 0.5)


def test_a_training_that_diverged_is_told_without_figures_that_are_none() -> None:
    judged, decided, _ = variant("compared")
    epochs = [{**epoch, "train_loss": float("nan")} for epoch in run_facts().epochs]
    html = render(judged, decided, run_facts(epochs=epochs))
    assert "nan" not in Page(html).text and "train loss –" in html


def test_remarks_on_the_labelled_file_are_shown() -> None:
    judged, decided, _ = variant("compared")
    html = render(judged, decided, run_facts(tags={"data_remarks": f"Cut 2 texts.\nLabels {ODD}."}))
    assert "Cut 2 texts." in Page(html).text and "<script>" not in html


def test_links_lead_to_the_run_and_within_the_page() -> None:
    judged, decided, _ = variant("compared")
    html = render(judged, decided, run_facts())
    targets = re.findall(r'<a href="([^"]*)"', html)
    page = Page(html)
    assert {target[1:] for target in targets if target.startswith("#")} <= set(page.ids)
    assert run_facts().url in targets


def test_a_link_of_another_scheme_is_no_link() -> None:
    judged, decided, _ = variant("compared")
    html = render(judged, decided, run_facts(tags={"prefect.flow_run_url": "javascript:alert(1)"}))
    assert "javascript:" not in html


def test_the_decision_and_its_figures_are_told() -> None:
    judged, decided, _ = variant("compared")
    page = Page(render(judged, decided, run_facts()))
    assert [heading for heading in page.headings if heading.strip()][-len(SECTIONS) :] == SECTIONS
    assert "worse than the champion, version 3, beyond chance" in page.text
    assert "not worse than champion failed −0.050 0.000" in page.text
    assert f"{judged['candidate']['macro_f1']:.3f}" in page.text
    assert "On 110 test rows that neither model was trained on; 10 rows left out" in page.text
    assert "model.lstm_units 64 32" in page.text and "training.seed" not in page.text  # 42 is the default.
    assert "lstm-text reproduce 0123456789abcdef0123456789abcdef" in page.text


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        ([-0.09, -0.01], "The classifier loses to the baseline, TF-IDF + linear SVM, beyond chance"),
        ([-0.09, 0.04], "The classifier does not beat the baseline, TF-IDF + linear SVM; chance can explain it"),
        ([-0.04, 0.09], "The classifier is ahead of the baseline, TF-IDF + linear SVM, but not beyond chance"),
        ([0.01, 0.09], "The classifier beats the baseline, TF-IDF + linear SVM, beyond chance"),
    ],
)
def test_it_says_plainly_whether_the_network_beats_the_baseline(interval: list[float], sentence: str) -> None:
    judged, decided, _ = variant("compared")
    judged["baseline"]["difference"] = {"macro_f1": sum(interval) / 2, "interval": interval}
    assert sentence in Page(render(judged, decided, run_facts())).text


def test_it_says_what_the_lstm_and_the_ngrams_reach_alone() -> None:
    judged, decided, _ = variant("compared")
    words = "The answer is 40% LSTM (macro-F1 alone 0.790) and 60% n-grams (0.810 alone)"
    assert words in Page(render(judged, decided, run_facts())).text
    judged["parts"]["lstm"]["share"] = 0.01
    assert "The LSTM decides next to nothing here." in Page(render(judged, decided, run_facts())).text


def test_what_texts_and_labels_hold_is_shown_and_never_run() -> None:
    labels = [ODD, "שלום", "a\x00b"]
    judged = evaluation(labels)
    texts = (ODD, "👩‍👩‍👧\u202eabc", "word " * 50_000, "  two lines\nhere ", "{{ 7 * 7 }}")
    judged["mistakes"] = [
        {"example_id": ODD, "text": text, "label": ODD, "predicted": "שלום", "score": 0.9} for text in texts
    ]
    decided = decision(judged, reason=ODD, model_name="m<b>")
    html = render(judged, decided, run_facts(name="\ud800", config=PipelineConfig(data={"labels": [ODD, "b"]})))
    page = Page(html)
    assert not {"script", "img", "b"} & set(page.tags) and "evil.example" in page.text
    assert "👩‍👩‍👧\u202eabc" in page.text and "␣␣two lines here␣" in page.text and "{{ 7 * 7 }}" in page.text
    assert "49" not in re.findall(r"<bdi>([^<]*)</bdi>", html)
    assert len(html) < 400_000
    html.encode("utf-8")


def test_a_matrix_of_many_labels_gives_way_to_its_largest_cells() -> None:
    small, large = (Page(render(*variant(f"{n} classes")[:2], run_facts())).text for n in (30, 31))
    assert "Rows: the true label" in small and "Rows: the true label" not in large
    assert "A table of 31 labels is too large to read" in large and "The most frequent confusions" in large


def test_reliability_is_drawn_before_and_after_a_temperature_that_was_kept() -> None:
    judged, decided, _ = variant("compared")
    table = judged["candidate"]["reliability"]
    alone, both = (render(judged, decided, run_facts(), uncalibrated=before) for before in (None, table))
    assert alone.count("Reliability diagram") == 1 and both.count("Reliability diagram") == 2


@pytest.mark.parametrize(
    ("kept", "after", "sentence"),
    [
        (True, 0.52, "Scores are scaled with temperature 1.400"),
        (False, 0.63, "a temperature does not help (validation log loss 0.610 before, 0.630 after)"),
        (False, 0.61, "no temperature was fitted."),
    ],
)
def test_what_became_of_the_temperature_is_told(kept: bool, after: float, sentence: str) -> None:
    judged, decided, _ = variant("compared")
    judged["calibration"] |= {"kept": kept, "validation_log_loss": {"before": 0.61, "after": after}}
    assert sentence in Page(render(judged, decided, run_facts())).text


def test_weak_slices_are_named() -> None:
    judged, decided, _ = variant("compared")
    text = Page(render(judged, decided, run_facts())).text
    assert "Weaker than the test rows as a whole, beyond chance: length 1 to 8 tokens (0.500 of 40 rows)." in text
