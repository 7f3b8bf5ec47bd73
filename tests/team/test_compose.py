"""deployments/compose.yaml and the Dockerfile: their syntax, and that the services' own commands start."""

import subprocess

import pytest
import requests

from tests.team.compose import COMPOSE, load
from tests.team.conftest import Team
from tests.team.servers import BIN, PROJECT


def test_up(team: Team) -> None:
    print(team)
