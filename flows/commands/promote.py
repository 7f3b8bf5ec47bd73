from pydantic_settings import CliPositionalArg

from flows.settings import ModelSettings, Reason, VersionNumber, print_decision


class Settings(ModelSettings):
    """Make a registered version the champion, if it passes the gate or with --force."""

    version: CliPositionalArg[VersionNumber]
    """The version's number."""
    reason: Reason
    """Why; it is recorded."""
    force: bool = False
    """Skip the rules of the gate, except that the version must be servable."""


def run(settings: Settings) -> int:
    from tasks.promotion.change_champion import promote_version

    decision = promote_version(settings.model_name, settings.version, force=settings.force, note=settings.reason)
    return print_decision(settings, decision)
