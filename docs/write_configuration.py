"""Write docs/configuration.md from lstm_model/config/; with --check, exit with 1 if the page is out of date."""

import sys
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from lstm_model.config.drift import DriftConfig
from lstm_model.config.pipeline import PRESETS, PipelineConfig, flatten
from lstm_model.config.section import Section
from lstm_model.config.tuning import Range, TuningConfig

PAGE = Path(__file__).with_name("configuration.md")

INTRODUCTION = """\
# Configuration

`make docs` writes this page from `lstm_model/config/`; edit the files there.

You can give each setting as a flag of `lstm-text train`, as a key of a YAML file, or as a field of a parameter of the
Prefect flow (one parameter per section). MLflow runs record it as a param (`model.lstm_units`). Unknown names are
rejected.
"""

HOW_TO_WRITE = """\
On the command line:

- A setting that is true or false has two flags: `--model.bidirectional` and `--no-model.bidirectional`.
- Separate several values by commas: `--data.labels ham,spam`. Give a label that contains a comma in a file.
- To leave a setting unset, omit it.

Some settings depend on each other: `split.test_fraction` and `split.validation_fraction` must add up to less than 1,
`model.embedding_skip` needs `model.pooling` `max` or `mean`, `model.word_vectors` needs `tokenization.kind` `word`, and
`promotion.baseline` `require` needs `evaluation.baseline`.
"""

PRECEDENCE = """\
## Precedence

The command line overrides the file given with `--config`, which overrides the preset, which overrides the defaults.
Settings are merged one by one: a file with `training.epochs` does not change the rest of `training`. A file can contain
`preset`; `--preset` overrides it. Environment variables are not read for settings.

A deployment has no file and no preset. There, `-p 'training={"epochs": 5}'` replaces the whole section: settings that
the JSON omits get their defaults.

In a file, names have underscores instead of hyphens:

```yaml
{example}```

    lstm-text train --config my.yaml --training.epochs 10

trains for at most 10 epochs with 64 units; the other settings come from the preset `article`.

A plain value is a text, as on the command line: a label `no`, `1` or `2024-01-01` needs no quotes. `null` and a text
that starts with a sign such as `#` or `*` do. Prefect reads `prefect.yaml` by YAML's own rules: there, quote `no` and
dates too.
"""

EXAMPLE = """\
preset: article
data:
  path: data/headlines.csv
  on_bad_rows: stop
model:
  lstm_units: 64
training:
  epochs: 20
"""

TUNING_NOTE = """
`lstm-text tune` and its flow have this section, training does not. [tuning.md](tuning.md) shows how to write a space.
"""

DRIFT_NOTE = """
`lstm-text score`, `lstm-text drift` and their flows have this section, training does not.
[monitoring.md](monitoring.md) explains the figures.
"""

SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def main(arguments: list[str]) -> int:
    """Write the page, or check that it is up to date; return the exit code."""
    page = whole_page()
    if arguments == ["--check"]:
        if PAGE.is_file() and PAGE.read_text("utf-8") == page:
            return 0
        print("docs/configuration.md is out of date. Run make docs.", file=sys.stderr)
        return 1
    if arguments:
        print(f"Unknown arguments: {' '.join(arguments)}. The only option is --check.", file=sys.stderr)
        return 2
    PAGE.write_text(page, encoding="utf-8")
    return 0


def whole_page() -> str:
    """Return the page as Markdown."""
    sections = [section_table(name, field.default) for name, field in PipelineConfig.model_fields.items()]
    sections.append(section_table("tuning", TuningConfig()) + TUNING_NOTE)
    sections.append(section_table("drift", DriftConfig()) + DRIFT_NOTE)
    given = {name: values for name, values in yaml.safe_load(EXAMPLE).items() if name != "preset"}
    PipelineConfig.model_validate(given)  # Fails if the example is not valid.
    parts = [INTRODUCTION, HOW_TO_WRITE, *sections, presets(), PRECEDENCE.replace("{example}", EXAMPLE)]
    return "\n".join(parts)


def section_table(name: str, section: Section) -> str:
    """Return the heading and the table of one section."""
    rows = [
        [f"`{flag(name, key)}`", kind(field), shown(field.default), field.description or ""]
        for key, field in type(section).model_fields.items()
    ]
    return f"## {name}\n\n{type(section).__doc__}\n\n" + table(["flag", "type", "default", "meaning"], rows)


def presets() -> str:
    """Return a table for each preset with the settings that it changes and their defaults."""
    defaults = flatten(PipelineConfig())
    parts = ["## Presets\n\n`--preset NAME` starts from a named configuration. The preset `default` changes nothing.\n"]
    parts.append("".join(f"- `{name}`: {preset.description}\n" for name, preset in PRESETS.items()))
    for preset, sections in PRESETS.items():
        if not sections:
            continue
        PipelineConfig.model_validate(sections)
        rows = [
            [f"`{flag(section, key)}`", shown(value), shown(defaults[f"{section}.{key}"])]
            for section, values in sections.items()
            for key, value in values.items()
        ]
        parts.append(f"### {preset}\n\n" + table(["flag", preset, "default"], rows))
    return "\n".join(parts)


def flag(section: str, key: str) -> str:
    """Return the flag of a setting."""
    return f"--{section}.{key}".replace("_", "-")


def kind(field: FieldInfo) -> str:
    """Return type and bounds in words."""
    limits = [
        f"{words} {getattr(item, sign)}"
        for item in field.metadata
        for sign, words in SIGNS.items()
        if hasattr(item, sign)
    ]
    limits += [f"matching `{item.pattern}`" for item in field.metadata if getattr(item, "pattern", None)]
    return ", ".join([type_name(field.annotation), *limits])


def type_name(annotation: Any) -> str:
    """Return a type in words: `str | None` is "text, may be unset"."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if NoneType in arguments:
        return type_name(next(kind for kind in arguments if kind is not NoneType)) + ", may be unset"
    if get_origin(annotation) is tuple:
        return "several: " + type_name(arguments[0])
    if annotation == TuningConfig.model_fields["space"].annotation:
        return "settings, each with values or a range"
    if get_origin(annotation) is dict:
        return f"{type_name(arguments[0])}=number, repeatable"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}[annotation]


def shown(value: Any) -> str:
    """Return a value as it is written in a YAML file."""
    if value is None:
        return "unset"
    if value == {}:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"`{name}` {tried(given)}" for name, given in value.items())
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def tried(given: Any) -> str:
    """Return values or a range in words."""
    if not isinstance(given, Range):
        return " or ".join(str(value) for value in given)
    step = f" by {given.step}" if given.step else ""
    return f"{given.low} to {given.high}{step}{', logarithmic' if given.log else ''}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
