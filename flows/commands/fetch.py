import shlex
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from flows.settings import CommandSettings, finish
from lstm_model.data.public.catalogue import CATALOGUE


class Settings(CommandSettings):
    """Download a public data set as a file that `lstm-text train` reads; without NAME, list them."""

    needs_tracking = False

    name: CliPositionalArg[Literal[tuple(CATALOGUE)] | None] = Field(  # type: ignore[valid-type]
        None, description=f"{', '.join(CATALOGUE)}."
    )
    output: Path | None = None
    """The Parquet file to write. Unset: data/fetched/NAME.parquet."""
    overwrite: bool = False
    """Replace an output that exists."""


def run(settings: Settings) -> int:
    if settings.name is None:
        for name, data in CATALOGUE.items():
            print(f"  {name:14}{data.megabytes:>3} MB  {data.title}; license: {data.license}")
        return finish(settings, CATALOGUE)

    from tasks.datasets.fetch_dataset import fetch_dataset

    data, output = CATALOGUE[settings.name], settings.output or Path(f"data/fetched/{settings.name}.parquet")
    print(f"{data.title} ({data.megabytes} MB)\n  from     {data.homepage}\n  license  {data.license}")
    print(f"  cite     {data.citation}\n  text     {data.text}\n", flush=True)
    fetched = fetch_dataset(settings.name, output, overwrite=settings.overwrite)
    parts = ", ".join(f"{count:,} {split}" for split, count in fetched["rows"].items())
    flags = (
        f"--data.path {shlex.quote(str(output))} --data.split-column split --registration.model-name {settings.name}"
    )
    print(f"{output}: {parts} rows, {fetched['labels']} labels\n\nNext:\n  lstm-text train {flags}")
    written = {"name": settings.name, "path": str(output), **fetched}
    return finish(settings, {**written, "license": data.license, "homepage": data.homepage})
