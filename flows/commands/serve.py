from typing import Annotated

from pydantic import AfterValidator, Field

from flows.settings import DEFAULT_MODEL_URI, CommandSettings


class Settings(CommandSettings):
    """Serve a registered model over HTTP with MLflow's scoring server."""

    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    host: Annotated[str, Field(min_length=1), AfterValidator(lambda given: given.strip("[]"))] = "127.0.0.1"
    """Address to listen on, such as ::1; every one: 0.0.0.0, or :: for IPv6."""
    port: int = Field(5002, ge=1, le=65_535)
    """Port to listen on."""
    workers: int = Field(1, ge=1)
    """Server processes."""
    poll_seconds: float = Field(5.0, ge=0)
    """How often to look up the alias, to follow it to another version; 0 stays with the first."""


def run(settings: Settings) -> int:
    from tasks.serving.serve_model import serve_model

    return serve_model(**settings.without())
