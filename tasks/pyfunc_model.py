"""The registered model's own code (MLflow models-from-code): a `text` column in, label and probabilities out.

MLflow runs this file when it loads the model, in an environment that holds what serving needs and no more.
"""

from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from lstm_model.answers import answer_table
from lstm_model.classifier import Classifier
from lstm_model.reading import text_problem


class TextClassifierModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Answers for each text the label, its score and the probability of every class."""

    def load_context(self, context: Any) -> None:
        self.classifier = Classifier.load(context.artifacts["classifier"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one row per input row, in order: label, score, probability_<label> ...

        Raises MlflowException (HTTP 400) for a text that is null or no string: the signature lets both through.
        """
        texts = list(model_input["text"])
        for row, text in enumerate(texts):
            problem = "null" if text is None or text is pd.NA or text != text else text_problem(text)
            if problem:
                raise MlflowException(
                    f"Expected a string in column 'text', found {problem} in row {row} (from 0). "
                    'Send {"dataframe_records": [{"text": "..."}]} with a string in every row.',
                    error_code=INVALID_PARAMETER_VALUE,
                )
        return answer_table(self.classifier.predict_probabilities(texts), self.classifier.labels)


set_model(TextClassifierModel())
