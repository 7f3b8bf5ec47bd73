from pathlib import Path

from pydantic_settings import CliPositionalArg

from flows.settings import CommandSettings, finish


class Settings(CommandSettings):
    """Show two training runs side by side: settings, metrics, answers."""

    run_a: CliPositionalArg[str]
    """A run: its id, the start of its id, or its name."""
    run_b: CliPositionalArg[str | None] = None
    """Another. Unset: the run of the champion of the model that RUN_A registered; if that is RUN_A, the run of the
    previous champion."""
    html: Path | None = None
    """Also write the comparison as one HTML page."""
    overwrite: bool = False
    """Replace a page that exists."""


def run(settings: Settings) -> int:
    from tasks.scoring.scoring_job import check_writable

    if settings.html:
        check_writable(settings.html, overwrite=settings.overwrite)

    from lstm_model.pages.html import render_page
    from tasks.reports.compare_runs import compare_runs, comparison_text

    compared = compare_runs(settings.run_a, settings.run_b)
    print(comparison_text(compared))
    if settings.html:
        settings.html.write_text(render_page("comparison.html", compared=compared), encoding="utf-8")
        print(f"\n{settings.html}")
    return finish(settings, compared)
