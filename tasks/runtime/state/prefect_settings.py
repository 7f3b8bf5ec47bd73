"""Prefect's settings, which it also reads from files: in which place one is set."""

import os
import tomllib
from pathlib import Path
from typing import Any

VARIABLE = "PREFECT_API_URL"


def place_of_api_url() -> str:
    """Return PREFECT_API_URL, with the file that sets it unless the environment does."""
    if os.environ.get(VARIABLE):
        return VARIABLE
    from dotenv import dotenv_values
    from prefect.context import get_settings_context
    from prefect.settings import PREFECT_PROFILES_PATH

    # In Prefect's order, all in the working directory.
    if Path(".env").is_file() and VARIABLE in dotenv_values(".env"):
        return f"{VARIABLE} in {Path('.env').resolve()}"
    for file, tables in (("prefect.toml", ("api", "url")), ("pyproject.toml", ("tool", "prefect", "api", "url"))):
        found: Any = tomllib.loads(Path(file).read_text("utf-8")) if Path(file).is_file() else {}
        for table in tables:
            found = found.get(table, {})
        if found:
            return f"api.url in {Path(file).resolve()}"
    profile = get_settings_context().profile
    if VARIABLE in {setting.name for setting in profile.settings}:
        return f"{VARIABLE} of profile {profile.name} in {PREFECT_PROFILES_PATH.value()}"
    return VARIABLE
