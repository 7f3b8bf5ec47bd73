"""Score texts from the command line with a registered model, without Prefect's server."""

import json
from typing import Any

from lstm_model.classifier.answers import AnswerOptions, answer_records
from lstm_model.classifier.classifier import Classifier
from lstm_model.data.text_columns import join_texts
from lstm_model.errors import ContentError, UsageError
from tasks.registry.registered_model import download_version, resolve_model


def predict_texts(
    texts: list[str], model_uri: str, *, json_input: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """Return label, score and probabilities of each text. options: those of AnswerOptions.

    json_input: each text is a JSON object with the columns that the model reads.

    Raises UsageError for a model of several columns without json_input, and for an object that is none or lacks a
    column; ContentError for a text that cannot be answered.
    """
    rows = [_columns(number, text) if json_input else {} for number, text in enumerate(texts, 1)]
    name, version, _ = resolve_model(model_uri)
    classifier = Classifier.load(download_version(name, version).folder)
    inputs, example = classifier.inputs, json.dumps(dict.fromkeys(classifier.inputs, "..."))
    if len(inputs) > 1 and not json_input:
        raise UsageError(f"{model_uri} reads the columns {', '.join(inputs)}.", f"Pass --json-input '{example}'.")
    joined = []
    for number, (text, row) in enumerate(zip(texts, rows, strict=True), 1):
        if json_input and not set(inputs) <= set(row):
            raise UsageError(f"Text {number} lacks a column of {model_uri}.", f"Write it as '{example}'.")
        whole, problem = join_texts([row[name] for name in inputs] if json_input else [text])
        if whole is None:
            raise ContentError(
                f"Text {number} cannot be answered: {problem}.", "Change the text, or check the terminal's encoding."
            )
        joined.append(whole)
    return answer_records(classifier.predict_probabilities(joined), classifier.labels, AnswerOptions(**options))


def _columns(number: int, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        row = str(error)
    if not isinstance(row, dict):
        raise UsageError(f"Text {number} is no JSON object: {text[:80]!r}.", "--json-input needs one object per text.")
    return row
