"""Passwords in addresses: moved to variables that the clients read, so no link, log line, tag or error shows one."""

import os
import re
from urllib.parse import unquote, urlsplit, urlunsplit


def move_credentials() -> None:
    """Take user and password out of the addresses of servers in the environment.

    MLflow and Prefect repeat an address in links, logs and errors, but not the variables for user and password. A
    database's address keeps its password: there is no variable for it.
    """
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        user, password = _take(variable)
        if password:
            os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = user, password
    user, password = _take("PREFECT_API_URL")
    if password:
        os.environ["PREFECT_API_AUTH_STRING"] = f"{user}:{password}"
    for variable in ("MLFLOW_UI_URL", "PREFECT_UI_URL"):  # Only for links: you log in where one leads.
        _take(variable)


def without_credentials(address: str) -> str:
    """Return the address of a server without user and password; any other text unchanged."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def without_password(text: str) -> str:
    """Return the text with the password of each address hidden."""
    text = re.sub(r"(://[^:/@\s]*):\S+@", r"\1:***@", text)
    return re.sub(r"([?&](?:password|passwd|pwd)=)[^&\s'\"]+", r"\1***", text, flags=re.IGNORECASE)


def _take(variable: str) -> tuple[str, str]:
    """Remove user and password from the address in a variable and return them, decoded; "" for none."""
    address = os.environ.get(variable, "")
    clean = without_credentials(address)
    if clean == address:
        return "", ""
    user, _, password = urlsplit(address).netloc.rpartition("@")[0].partition(":")
    os.environ[variable] = clean
    return unquote(user), unquote(password)
