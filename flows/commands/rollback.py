"""`lstm-text rollback`: back to the previous champion."""

from typing import ClassVar

from flows.commands.settings import CommandSettings, Reason, print_decision
from lstm_model.config.registration import ModelName, RegistrationConfig


class Settings(CommandSettings):
    """Make the previous champion the champion again."""

    command: ClassVar[str] = "rollback"

    reason: Reason
    """Why; it is recorded."""
    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""


def run(settings: Settings) -> int:
    from tasks.promotion.change_champion import roll_back

    return print_decision(settings, roll_back(settings.model_name, note=settings.reason))
