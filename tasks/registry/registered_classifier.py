"""A downloaded version, as tasks pass it on."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class RegisteredClassifier(BaseModel):
    """A downloaded version of a registered model: its classifier folder, and a digest of the version and its files."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    run_id: str
    folder: Path
    digest: str
