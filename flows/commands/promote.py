"""`lstm-text promote`: a version made champion by a person."""

from typing import ClassVar

from pydantic_settings import CliPositionalArg

from flows.commands.settings import CommandSettings, Reason, VersionNumber, print_decision
from lstm_model.config.registration import ModelName, RegistrationConfig


class Settings(CommandSettings):
    """Make a registered version the champion, if the gate lets it pass or with --force."""

    command: ClassVar[str] = "promote"

    version: CliPositionalArg[VersionNumber]
    """The version's number."""
    reason: Reason
    """Why; it is recorded."""
    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""
    force: bool = False
    """Skip the rules of the gate, except that the version must be servable."""


def run(settings: Settings) -> int:
    from tasks.promotion.change_champion import promote_version

    decision = promote_version(settings.model_name, settings.version, force=settings.force, note=settings.reason)
    return print_decision(settings, decision)
