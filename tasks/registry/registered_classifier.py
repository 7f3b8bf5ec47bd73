"""A registered version, as tasks pass it on."""

from pathlib import Path

from pydantic import BaseModel


class RegisteredVersion(BaseModel, frozen=True):
    name: str
    version: str


class RegisteredClassifier(RegisteredVersion):
    """A downloaded version of a registered model: its classifier folder, and a digest of the version and its files."""

    run_id: str
    folder: Path
    digest: str
