"""A downloaded version, as it travels between tasks."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class RegisteredClassifier(BaseModel):
    """A version of a registered model, downloaded: its classifier folder and a digest of the version and its files."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    run_id: str
    folder: Path
    digest: str
