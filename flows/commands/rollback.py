from flows.settings import ModelSettings, Reason, print_decision


class Settings(ModelSettings):
    """Make the previous champion the champion again."""

    reason: Reason
    """Why; it is recorded."""


def run(settings: Settings) -> int:
    from tasks.promotion.change_champion import roll_back

    return print_decision(settings, roll_back(settings.model_name, note=settings.reason))
