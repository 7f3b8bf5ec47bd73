from datetime import timedelta
from typing import Annotated

from pydantic import Field

from flows.settings import CommandSettings, finish
from lstm_model.config.registration import RegistrationConfig


class Settings(CommandSettings):
    """Remove old stages, downloads, runs and versions; never a version with an alias, or its run."""

    older_than: Annotated[str, Field(pattern=r"^\d+[dh]$")]
    """Age since the last use, in days or hours: 30d, 12h."""
    experiment_name: str = RegistrationConfig().experiment_name
    """MLflow experiment of the runs to remove."""
    dry_run: bool = False
    """Show what would be removed, and remove nothing."""


def run(settings: Settings) -> int:
    from tasks.runs.clean_state import clean_state, size_text

    unit = {"d": "days", "h": "hours"}[settings.older_than[-1]]
    age = timedelta(**{unit: int(settings.older_than[:-1])})
    cleaned = clean_state(older_than=age, experiment_name=settings.experiment_name, dry_run=settings.dry_run)
    for kind in cleaned:
        print(f"{kind.what:24}{kind.count:>7,}{size_text(kind.bytes):>12}")
    done = "would be removed" if settings.dry_run else "removed"
    print(f"{size_text(sum(kind.bytes for kind in cleaned))} {done} (last used more than {settings.older_than} ago)")
    return finish(settings, {"dry_run": settings.dry_run, "cleaned": cleaned})
