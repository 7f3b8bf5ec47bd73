"""`lstm-text fetch`: download a public data set."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from flows.settings import CommandSettings, finish
from lstm_model.data.public.catalogue import CATALOGUE

DEFAULT_FOLDER = Path("data/fetched")


class Settings(CommandSettings):
    """Download a public data set as a file that `lstm-text train` reads; without NAME, list them."""

    opens_tracking = "never"

    name: CliPositionalArg[Literal[tuple(CATALOGUE)] | None] = Field(  # type: ignore[valid-type]
        None, description=f"{', '.join(CATALOGUE)}."
    )
    output: Path | None = None
    """The Parquet file to write. Unset: data/fetched/NAME.parquet."""
    overwrite: bool = False
    """Replace an output that exists."""


def run(settings: Settings) -> int:
    if settings.name is None:
        return _list(settings)
    from tasks.datasets.fetch_dataset import fetch_dataset

    data, output = CATALOGUE[settings.name], settings.output or DEFAULT_FOLDER / f"{settings.name}.parquet"
    print(f"{data.title} ({data.megabytes} MB)\n  from     {data.homepage}\n  license  {data.license}")
    print(f"  cite     {data.citation}\n  text     {data.text}\n", flush=True)
    fetched = fetch_dataset(settings.name, output, overwrite=settings.overwrite)
    parts = ", ".join(f"{count:,} {split}" for split, count in fetched.rows.items())
    print(f"{fetched.path}: {parts} rows, {fetched.labels} labels\n\nNext:\n  {_train_command(settings.name, output)}")
    return finish(settings, {**asdict(fetched), "license": data.license, "homepage": data.homepage})


def _list(settings: Settings) -> int:
    for name, data in CATALOGUE.items():
        print(f"  {name:14}{data.megabytes:>3} MB  {data.title}; license: {data.license}")
    return finish(settings, {name: asdict(data) for name, data in CATALOGUE.items()})


def _train_command(name: str, output: Path) -> str:
    path = shlex.quote(str(output))
    return f"lstm-text train --data.path {path} --data.split-column split --registration.model-name {name}"
