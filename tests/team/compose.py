"""deployments/compose.yaml as processes on loopback: the very commands, environments and health checks of the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.team.servers import PROJECT

COMPOSE = PROJECT / "deployments" / "compose.yaml"


@dataclass(frozen=True)
class Service:
    """What compose would start: a command, the variables that the file sets, and how to ask whether it is up."""

    command: list[str]
    environment: dict[str, str]
    healthy: list[str]


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Replace ${NAME}, ${NAME:-default} and ${NAME:?message} as compose does."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if values.get(name):
            return values[name]
        if kind == ":?":
            raise KeyError(f"{name}: {rest}")
        return rest or ""

    return re.sub(r"\$\{(?P<name>\w+)(?:(?P<kind>:-|:\?)(?P<rest>[^}]*))?\}", value, text)


def load(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the file as compose reads it."""
    loaded: dict[str, Any] = yaml.safe_load(interpolate(COMPOSE.read_text("utf-8"), values))
    return loaded


def service(name: str, values: Mapping[str, str], addresses: Mapping[str, str]) -> Service:
    """Return a service moved to loopback: each address (or flag) of the file becomes that of this machine."""
    found = load(values)["services"][name]

    def moved(text: str) -> str:
        for theirs, here in addresses.items():
            text = text.replace(theirs, here)
        return text

    # A variable without a value is passed on from the environment, where it is set.
    environment = {key: moved(value) for key, value in found["environment"].items() if value is not None}
    healthy = [moved(word) for word in found.get("healthcheck", {}).get("test", ["CMD"])[1:]]
    return Service([moved(word) for word in found["command"]], environment, healthy)
