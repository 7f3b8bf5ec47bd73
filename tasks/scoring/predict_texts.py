"""Texts given on the command line -> answers of a registered model, without starting Prefect's server."""

from typing import Any

from lstm_model.classifier.answers import AnswerOptions, answer_records
from lstm_model.classifier.classifier import Classifier
from lstm_model.data.texts import text_problem
from lstm_model.errors import ContentError
from tasks.registry.registered_model import download_version, resolve_model


def predict_texts(texts: list[str], model_uri: str, **options: Any) -> list[dict[str, Any]]:
    """Return label, score and probabilities for each text, as dictionaries. options: those of AnswerOptions."""
    for text in texts:
        problem = text_problem(text)
        if problem:
            raise ContentError(expected="texts in UTF-8", found=problem, remedy="Check the terminal's encoding.")
    name, version, _ = resolve_model(model_uri)
    classifier = Classifier.load(download_version(name, version).folder)
    return answer_records(classifier.predict_probabilities(texts), classifier.labels, AnswerOptions(**options))
