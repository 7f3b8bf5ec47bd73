"""What a network has to be worth its cost against: TF-IDF of words and pairs of words, with a linear SVM.

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

    Terms that only one train text has are left out, unless all are such. Where there is nothing to learn from (texts
    without words, a single label), every text gets the most frequent train label.
    """
    kinds = Counter(train_labels)
    vectorizer, features = _fit_terms(train_texts, most=max(1, WEIGHTS // len(kinds)))
    if vectorizer is None or len(kinds) == 1:
        return [min(kinds, key=lambda label: (-kinds[label], label))] * len(texts)
    model = LinearSVC(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The last iterations change no label that matters here.
        model.fit(features, list(train_labels))
    return [str(label) for label in model.predict(vectorizer.transform(texts))]


def _fit_terms(texts: Sequence[str], *, most: int) -> tuple[TfidfVectorizer | None, object]:
    """Return the fitted vectorizer and the features of the texts; None where no text has a word."""
    for rarest in (2, 1):
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=rarest, max_features=most)
        try:
            return vectorizer, vectorizer.fit_transform(texts)
        except ValueError as error:  # All that scikit-learn says of texts without a term.
            if "empty vocabulary" not in str(error) and "no terms remain" not in str(error):
                raise
    return None, None
