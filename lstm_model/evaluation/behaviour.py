"""Behaviour besides accuracy: changes of a text that must not change its label, and cases that must be right.

Ribeiro et al. 2020, "Beyond accuracy: behavioral testing of NLP models with CheckList".
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_model.arrays import Float32, Int64
from lstm_model.classifier.answers import answer_table
from lstm_model.digests import digest_text

Predict = Callable[[Sequence[str]], Float32]  # N texts -> float32[N, C]

ASKED_ROWS = 2_000  # Each change predicts all of them once more.
SHOWN_EXAMPLES = 5
FINAL = ".!?…。！？"


def _without_final_punctuation(text: str) -> str:
    end = text.rstrip()
    bare = end.rstrip(FINAL)
    return bare if bare.strip() and bare != end else text


def _with_final_punctuation(text: str) -> str:
    end = text.rstrip()
    return f"{end}." if end and end[-1].isalnum() else text


# Each returns the text unchanged if it does not apply.
CHANGES: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "lower case": str.lower,
    "final punctuation added": _with_final_punctuation,
    "final punctuation removed": _without_final_punctuation,
    "trailing space": lambda text: f"{text} ",
}


def asked_rows(texts: Sequence[str]) -> Int64:
    """Return the row numbers of the texts to change: the 2,000 lowest digests, so the same texts in any file order."""
    order = sorted(range(len(texts)), key=lambda row: (digest_text(texts[row]), row))
    return np.array(sorted(order[:ASKED_ROWS]), dtype=np.int64)


def check_invariance(predict: Predict, answers: pd.DataFrame, *, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return an InvarianceCheck per change as a dictionary. answers: text, predicted and score of unchanged texts."""
    tested = answers.iloc[asked_rows(answers["text"].tolist())]
    tested = tested.sort_values("score", ascending=False, kind="stable")[["text", "predicted"]]
    checks = []
    for name, change in CHANGES.items():
        altered = tested.assign(changed=tested["text"].map(change)).query("changed != text")
        altered["changed_label"] = [labels[i] for i in predict(altered["changed"].tolist()).argmax(axis=1)]
        moved = altered[altered["changed_label"] != altered["predicted"]].rename(columns={"predicted": "label"})
        examples = moved[["text", "changed", "label", "changed_label"]].head(SHOWN_EXAMPLES).to_dict("records")
        same = len(altered) - len(moved)
        checks.append({"change": name, "rows": len(altered), "same_label": same, "examples": examples})
    return checks


def check_cases(predict: Predict, cases: pd.DataFrame, *, labels: Sequence[str]) -> dict[str, Any]:
    """Return rows, passed, and failed (text, label, predicted, score), for cases: text, label."""
    answers = answer_table(predict(cases["text"].tolist()), labels).rename(columns={"label": "predicted"})
    answered = pd.concat([cases, answers[["predicted", "score"]]], axis=1)
    failed = answered[answered["label"] != answered["predicted"]]
    return {"rows": len(cases), "passed": len(cases) - len(failed), "failed": failed.to_dict("records")}
