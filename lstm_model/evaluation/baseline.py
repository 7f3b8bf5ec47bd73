"""The linear baseline that a network must beat to be worth its cost: TF-IDF of words and word pairs, a linear SVM.

Wang and Manning 2012, "Baselines and bigrams": on topics and sentiment, hard to beat without pretrained vectors.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

NAME = "TF-IDF + linear SVM"
WEIGHTS = 50_000_000  # Bounds memory: 8 bytes for each pair of label and term.


def predict_with_baseline(
    *, train_texts: Sequence[str], train_labels: Sequence[str], texts: Sequence[str]
) -> list[str]:
    """Fit on the train rows and return the label of each text; equal input gives equal answers.

    If there is nothing to learn (texts without words, one label), every text gets the most frequent train label.
    """
    counts = Counter(train_labels)
    vectorizer, features = _fit_terms(train_texts, most=max(1, WEIGHTS // len(counts)))
    if vectorizer is None or len(counts) == 1:
        return [min(counts, key=lambda label: (-counts[label], label))] * len(texts)
    model = LinearSVC(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The last iterations do not change the labels here.
        model.fit(features, list(train_labels))
    return [str(label) for label in model.predict(vectorizer.transform(texts))]


def _fit_terms(texts: Sequence[str], *, most: int) -> tuple[TfidfVectorizer | None, object]:
    """Return the fitted vectorizer and the features of the texts; None if no text has a word."""
    for rarest in (2, 1):  # Terms of a single text are left out, unless all terms are.
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=rarest, max_features=most)
        try:
            return vectorizer, vectorizer.fit_transform(texts)
        except ValueError as error:  # scikit-learn has no other sign of texts without terms.
            if "empty vocabulary" not in str(error) and "no terms remain" not in str(error):
                raise
    return None, None
