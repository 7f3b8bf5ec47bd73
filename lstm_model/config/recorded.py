"""The configuration that a run recorded in config.json, perhaps with an earlier release."""

import json
from typing import Any

from lstm_model.config.pipeline import PipelineConfig

# Settings of earlier releases, with their defaults.
REMOVED = {"export.quantize": "none", "export.max_disagreement": 0.005}
# Settings that earlier releases did not have, as those releases worked.
ADDED = {
    **dict.fromkeys(("data.delimiter", "data.encoding", "data.header", "data.text_columns")),
    **dict.fromkeys(("split.group_column", "split.time_column")),
    "data.clean_labels": False,
    "data.drop_rare_labels": True,
    **dict.fromkeys(("evaluation.cases_delimiter", "evaluation.cases_encoding")),
    "ngrams.words": False,
    "ngrams.characters": False,
    "training.adversarial": 0.0,
}


def flat_settings(recorded: str) -> dict[str, Any]:
    """Return the settings in config.json by flat name, including those that this release does not know."""
    sections = json.loads(recorded)
    return {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}


def read_recorded(recorded: str) -> PipelineConfig:
    """Return the configuration in config.json without removed settings.

    Raises pydantic.ValidationError if this release does not accept the rest.
    """
    sections = json.loads(recorded)
    for name in REMOVED:
        section, key = name.split(".")
        sections.get(section, {}).pop(key, None)
    for name, value in ADDED.items():
        section, key = name.split(".")
        sections.setdefault(section, {}).setdefault(key, value)
    return PipelineConfig.model_validate(sections)


def removed_settings(recorded: str) -> dict[str, Any]:
    """Return the removed settings in config.json that had another value than their default."""
    settings = flat_settings(recorded)
    return {name: settings[name] for name, default in REMOVED.items() if settings.get(name, default) != default}
