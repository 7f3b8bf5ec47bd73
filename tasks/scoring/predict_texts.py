"""Score texts from the command line with a registered model, without Prefect's server."""

from typing import Any

from lstm_model.classifier.answers import AnswerOptions, answer_records
from lstm_model.classifier.classifier import Classifier
from lstm_model.data.texts import text_problem
from lstm_model.errors import ContentError
from tasks.registry.registered_model import download_version, resolve_model


def predict_texts(texts: list[str], model_uri: str, **options: Any) -> list[dict[str, Any]]:
    """Return label, score and probabilities of each text. options: those of AnswerOptions.

    Raises ContentError for a text that is not UTF-8.
    """
    for number, text in enumerate(texts, 1):
        if problem := text_problem(text):
            raise ContentError(f"Text {number} is not UTF-8: {problem}.", "Check the terminal's encoding.")
    name, version, _ = resolve_model(model_uri)
    classifier = Classifier.load(download_version(name, version).folder)
    return answer_records(classifier.predict_probabilities(texts), classifier.labels, AnswerOptions(**options))
