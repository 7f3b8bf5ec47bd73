"""Read the services of deployments/compose.yaml, so that tests can start them as processes on loopback."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.team.servers import PROJECT

COMPOSE = PROJECT / "deployments" / "compose.yaml"


@dataclass(frozen=True)
class Service:
    """A service of the file: its command, the variables that it sets, and its health check."""

    command: list[str]
    environment: dict[str, str]
    healthy: list[str]


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Replace ${NAME}, ${NAME:-default} and ${NAME:?message} like compose."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if values.get(name):
            return values[name]
        if kind == ":?":
            raise KeyError(f"{name}: {rest}")
        return rest or ""

    return re.sub(r"\$\{(?P<name>\w+)(?:(?P<kind>:-|:\?)(?P<rest>[^}]*))?\}", value, text)


def load(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with its variables replaced."""
    loaded: dict[str, Any] = yaml.safe_load(interpolate(COMPOSE.read_text("utf-8"), values))
    return loaded


def service(name: str, values: Mapping[str, str], addresses: Mapping[str, str]) -> Service:
    """Return a service with each address or flag in `addresses` replaced by the one on this machine."""
    found = load(values)["services"][name]

    def moved(text: str) -> str:
        for there, here in addresses.items():
            text = text.replace(there, here)
        return text

    # Compose takes a variable without a value from its own environment.
    environment = {key: moved(value) for key, value in found["environment"].items() if value is not None}
    healthy = [moved(word) for word in found.get("healthcheck", {}).get("test", ["CMD"])[1:]]
    return Service([moved(word) for word in found["command"]], environment, healthy)
