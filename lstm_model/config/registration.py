"""Names in the model registry and in MLflow."""

from typing import Annotated

from pydantic import Field

from lstm_model.config.section import Section

ModelName = Annotated[str, Field(pattern=r"^[^/:.@%\"'\s]+$")]


class RegistrationConfig(Section):
    """Where the model goes."""

    model_name: ModelName = "text-classifier"
    """Name in the model registry."""
    experiment_name: str = "lstm-text"
    """MLflow experiment for the runs."""
