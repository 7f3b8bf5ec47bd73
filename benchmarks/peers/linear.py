"""Linear models on n-grams, fitted on train rows or, with --with-validation, on train and validation rows.

    python benchmarks/peers/linear.py ROWS svc|logistic|nb-svm words|characters|both [--with-validation]

svc (C 1) and logistic (C 10): TF-IDF with sublinear counts of the n-grams in at least two texts: words 1-2 (a
punctuation mark is a word), characters 2-5 within words, or both. nb-svm: binary n-grams, scaled for each label by
their naive-Bayes log-count ratio, and a logistic regression (Wang and Manning 2012, "Baselines and bigrams").
"""

import argparse
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from exchange import print_answer, read_rows
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.svm import LinearSVC

NGRAMS: dict[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"},
    "characters": {"ngram_range": (2, 5), "analyzer": "char_wb"},
}


class NaiveBayesLogistic(ClassifierMixin, BaseEstimator):
    """One label against the rest: a logistic regression on n-grams scaled by their log-count ratio."""

    def fit(self, features: Any, is_label: Any) -> "NaiveBayesLogistic":
        counts = [1 + np.asarray(features[is_label == side].sum(axis=0)).ravel() for side in (1, 0)]
        self.classes_ = np.array([0, 1])
        self.ratio_ = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
        self.model_ = LogisticRegression(C=1.0, solver="liblinear").fit(
            features.multiply(self.ratio_).tocsr(), is_label
        )
        return self

    def decision_function(self, features: Any) -> Any:
        return self.model_.decision_function(features.multiply(self.ratio_).tocsr())

    def predict(self, features: Any) -> Any:
        return (self.decision_function(features) > 0).astype(int)


def build(model: str, features: str) -> Pipeline:
    """Return the untrained steps from texts to labels."""
    weights = {"binary": True, "use_idf": False, "norm": None} if model == "nb-svm" else {"sublinear_tf": True}
    kinds = list(NGRAMS) if features == "both" else [features]
    ngrams = FeatureUnion([(kind, TfidfVectorizer(min_df=2, **weights, **NGRAMS[kind])) for kind in kinds])
    models = {
        "svc": LinearSVC(random_state=0),
        "logistic": LogisticRegression(C=10),
        "nb-svm": OneVsRestClassifier(NaiveBayesLogistic()),
    }
    return Pipeline([("ngrams", ngrams), ("model", models[model])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("model", choices=["svc", "logistic", "nb-svm"])
    parser.add_argument("features", choices=[*NGRAMS, "both"])
    parser.add_argument("--with-validation", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # The last iterations hardly change labels.
    steps = build(given.model, given.features)
    texts, labels = read_rows(given.rows, "train", *(["validation"] if given.with_validation else []))
    validation, _ = read_rows(given.rows, "validation")
    test, _ = read_rows(given.rows, "test")
    started = time.perf_counter()
    steps.fit(texts, labels)
    fitted = time.perf_counter()
    answers = steps.predict(test).tolist()
    seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
    size = len(pickle.dumps(steps))  # Measured, not kept.
    held_out = [] if given.with_validation else steps.predict(validation).tolist()
    print_answer(**seconds, bytes=size, test=answers, validation=held_out)


if __name__ == "__main__":
    main()
