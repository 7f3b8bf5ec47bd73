from pydantic import Field

from flows.settings import CommandSettings


class Settings(CommandSettings):
    """Start the MLflow and Prefect pages on loopback until Ctrl-C."""

    mlflow_port: int = Field(5001, ge=1, le=65_535)
    """Port of the MLflow pages."""
    prefect_port: int = Field(4200, ge=1, le=65_535)
    """Port of the Prefect server."""


def run(settings: Settings) -> int:
    from tasks.serving.ui_pages import serve_pages

    return serve_pages(**settings.without())
