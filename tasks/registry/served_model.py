"""The registered model's code (MLflow models-from-code): text columns in, label and probabilities out.

MLflow runs this file when it loads the model, in an environment with only the packages that serving needs.
"""

import json
import sys
from contextvars import ContextVar
from functools import wraps
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model

from lstm_model.classifier.answers import AnswerOptions, answer_records, answer_table
from lstm_model.classifier.classifier import Classifier
from lstm_model.data.text_columns import join_texts

# A request is in memory several times (bytes, JSON, table, answer). `lstm-text score` is for large files.
MAX_REQUEST_BYTES = 32 * 1024 * 1024
MAX_REQUEST_ROWS = 50_000
_over_http: ContextVar[bool] = ContextVar("over_http", default=False)
_refused = MlflowException.invalid_parameter_value  # HTTP 400.


class TextClassifierModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Answers each text with the label, its score and the probability of every class."""

    def load_context(self, context: Any) -> None:
        self.classifier = Classifier.load(context.artifacts["classifier"])
        _guard_server()

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame | list[dict[str, Any]]:
        """Return one row per input row, in order: label, score, probability_<label> ...

        This is a table, or over HTTP the records that MLflow would make of it, which saves 1 of 4 ms for one row.
        params: top_k, threshold and abstain_label, as described in `lstm_model.classifier.answers.AnswerOptions`.
        Raises MlflowException (HTTP 400) for a param out of range and for a text that is null or not a string: the
        signature accepts both.
        """
        inputs = self.classifier.inputs
        rows = list(zip(*(model_input[name] for name in inputs), strict=True))
        if len(rows) > MAX_REQUEST_ROWS and _over_http.get():
            raise _refused(f"A request may have at most {MAX_REQUEST_ROWS:,} rows; this one has {len(rows):,}.")
        texts = []
        for row, parts in enumerate(rows):
            # Null is None, NaN or pd.NA.
            text, problem = join_texts([None if part is pd.NA or part != part else part for part in parts])
            if text is None:
                raise _refused(
                    f"Column {', '.join(map(repr, inputs))} needs a string in every row; it is {problem} in row {row} "
                    f"(from 0). Send {json.dumps({'dataframe_records': [dict.fromkeys(inputs, '...')]})}."
                )
            texts.append(text)
        try:
            options = AnswerOptions(**(params or {}))
        except ValueError as error:
            raise _refused(str(error)) from None
        answer = answer_records if _over_http.get() else answer_table
        return answer(self.classifier.predict_probabilities(texts), self.classifier.labels, options)


def _guard_server() -> None:
    """Make MLflow's scoring server refuse bad requests with HTTP 4xx.

    MLflow 3.17 answers HTTP 500 to a request without a content type, to bytes that are not UTF-8 and to JSON nested too
    deep, and reads bodies of any size. It loads the model before it takes requests and looks `invocations` up for each
    one, so the model can add a check here (docs/decisions/0008-server-guard.md).
    """
    server = sys.modules.get("mlflow.pyfunc.scoring_server")
    answer = getattr(server, "invocations", None)
    if server is None or answer is None or hasattr(answer, "__wrapped__"):
        return

    @wraps(answer)
    def guarded(data: bytes, content_type: str | None, *rest: Any) -> Any:
        def refusal(status: int, message: str) -> Any:
            return server.InvocationsResponse(response=message, status=status, mimetype="text/plain")

        if len(data) > MAX_REQUEST_BYTES:
            limit = f"A request may have at most {MAX_REQUEST_BYTES:,} bytes; this one has {len(data):,}."
            return refusal(413, f"{limit} Send fewer rows at a time, or score a file.")
        if not content_type:
            return refusal(415, "The request has no content type. Send one, such as application/json.")
        _over_http.set(True)
        try:
            return answer(data, content_type, *rest)
        except MlflowException as error:
            if error.get_http_status_code() < 500:
                raise
            return refusal(400, str(error))
        except (ValueError, TypeError, RecursionError, LookupError, AttributeError) as error:
            return refusal(400, f"The request could not be read: {type(error).__name__}: {str(error)[:200]}")

    server.invocations = guarded  # type: ignore[attr-defined]


set_model(TextClassifierModel())
