"""`lstm-text history`: the decisions on a model."""

from typing import ClassVar

from flows.commands.settings import CommandSettings, finish
from lstm_model.config.registration import ModelName, RegistrationConfig


class Settings(CommandSettings):
    """Show every decision on a model's champion, oldest first."""

    command: ClassVar[str] = "history"

    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""


def run(settings: Settings) -> int:
    from tasks.promotion.history import history_text, read_history

    history = read_history(settings.model_name)
    print(history_text(history))
    return finish(settings, history)
