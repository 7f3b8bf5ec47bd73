"""The configuration as a run recorded it: config.json, perhaps of an earlier release."""

import json
from typing import Any

from lstm_model.config.pipeline import PipelineConfig

# Settings that releases before this one had, with their defaults.
REMOVED = {"export.quantize": "none", "export.max_disagreement": 0.005}


def flat_settings(recorded: str) -> dict[str, Any]:
    """Return the settings in config.json by flat name, those that this release does not know included."""
    return {
        f"{section}.{name}": value for section, values in json.loads(recorded).items() for name, value in values.items()
    }


def read_recorded(recorded: str) -> PipelineConfig:
    """Return the configuration in config.json without removed settings.

    Raises pydantic.ValidationError where it holds anything else that this release does not take.
    """
    sections = json.loads(recorded)
    for name in REMOVED:
        section, key = name.split(".")
        sections.get(section, {}).pop(key, None)
    return PipelineConfig.model_validate(sections)


def removed_settings(recorded: str) -> dict[str, Any]:
    """Return the removed settings in config.json that had another value than their default."""
    found = flat_settings(recorded)
    return {name: found[name] for name, default in REMOVED.items() if found.get(name, default) != default}
