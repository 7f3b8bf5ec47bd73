"""The versions of a registered model, and its aliases: champion, previous, candidate."""

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from lstm_model.errors import ModelError
from tasks.registry.registered_model import is_missing, what_exists
from tasks.runtime.retries import mlflow_client, with_retries

CHAMPION, PREVIOUS, CANDIDATE = "champion", "previous", "candidate"


def read_aliases(name: str) -> dict[str, str]:
    """Return the version behind each alias of the model. Raises ModelError if the registry has no such model."""
    client = mlflow_client()
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if not is_missing(error):
            raise
        raise ModelError(f"The registry has no model {name}.", what_exists(client)) from None
    return {alias: str(version) for alias, version in aliases.items()}


def list_versions(name: str) -> list[ModelVersion]:
    """Return all versions of a model."""
    return with_retries(mlflow.search_model_versions, filter_string=f"name = '{name}'")
