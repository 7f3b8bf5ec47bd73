"""Check the servers that the environment names before any work, so that a wrong address is reported at once."""

import os
from contextlib import suppress
from pathlib import Path

from lstm_model.errors import ModelError, causes
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.proxies import named_proxies

TIMEOUT_SECONDS = 5
BUSY_SECONDS = 30  # For an answer out of the database.
EMBEDDED = "sqlite"
DATABASES = (EMBEDDED, "postgresql", "mysql", "mssql")
DRIVERS_WITH_TIMEOUT = ("psycopg", "psycopg2", "pymysql", "mysqldb")  # Those that take connect_timeout.
API = " (its address ends in /api)"
LOGIN = {
    "MLflow": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "Prefect": "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY",
}
# A request of MLflow's client that every server answers, and only to who may use it; /health is open to all.
MLFLOW_REQUESTS = {
    "MLFLOW_TRACKING_URI": "/api/2.0/mlflow/experiments/search",
    "MLFLOW_REGISTRY_URI": "/api/2.0/mlflow/registered-models/search",
}


def check_tracking_server() -> None:
    """Raise ModelError if no MLflow server or database answers at $MLFLOW_TRACKING_URI, or refuses the login."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", EMBEDDED)
    for variable, endpoint in MLFLOW_REQUESTS.items():
        if os.environ.get(variable, "").startswith(("http://", "https://")):
            _check_mlflow(variable, os.environ[variable], endpoint)
    if is_database(uri) and not uri.startswith(EMBEDDED):
        _connect(uri)
    elif uri != "databricks" and (uri.startswith("file:") or "://" not in uri):  # MLflow refuses a folder, too.
        raise ModelError(
            f"MLFLOW_TRACKING_URI is {uri!r}, which is not the address of a server or database.",
            "Set it to http://HOST:PORT or postgresql://USER@HOST/DATABASE, or unset it to use the files in mlruns/.",
        )


def check_prefect_server(uri: str) -> None:
    """Raise ModelError if no Prefect server answers at PREFECT_API_URL, or refuses the login."""
    import httpx
    import requests
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    place = _place_of_api_url()
    try:
        with suppress(requests.exceptions.SSLError):  # Prefect has its own settings for certificates.
            health = requests.get(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_SECONDS)
            status, answer = health.status_code, health.text.strip()
            if not 400 <= status < 500 and (status, answer) != (200, "true"):
                raise _wrong_answer("Prefect", place, uri, status, answer)
        # That page is open to all, and not there behind a proxy that serves only the API: so Prefect's client asks.
        with get_client(sync_client=True) as client:
            client.read_flows(limit=1)  # On Prefect Cloud, too.
    except PrefectHTTPStatusError as error:
        given = bool(PREFECT_API_AUTH_STRING.value() or PREFECT_API_KEY.value())
        raise _wrong_answer("Prefect", place, uri, error.response.status_code, error.response.text, given) from None
    except (httpx.HTTPError, requests.RequestException, ValueError) as error:
        raise _unreachable(place, uri, "No Prefect server answers", str([*causes(error)][-1]), API) from None


def is_database(uri: str) -> bool:
    """Return whether MLflow opens this tracking address as a database, without a server in between."""
    return uri.partition("://")[0].partition("+")[0] in DATABASES


def _check_mlflow(variable: str, uri: str, endpoint: str) -> None:
    """Make a request as MLflow's client does: with its login, certificates and proxies, but without its retries."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    options = {"max_retries": 0, "timeout": (TIMEOUT_SECONDS, BUSY_SECONDS), "raise_on_status": False}
    login = get_default_host_creds(uri.rstrip("/"))
    try:
        response = http_request(login, endpoint, "GET", params={"max_results": 1}, **options)
    except MlflowException as error:
        raise _unreachable(variable, uri, "No MLflow server answers", str([*causes(error)][-1])) from None
    if response.status_code != 200 or not response.text.lstrip().startswith("{"):
        given = bool(login.username or login.token or login.auth)
        raise _wrong_answer("MLflow", variable, uri, response.status_code, response.text, given)


def _place_of_api_url() -> str:
    """Return PREFECT_API_URL, with the file that sets it unless the environment does."""
    from dotenv import dotenv_values
    from prefect.context import get_settings_context
    from prefect.settings import PREFECT_PROFILES_PATH
    from prefect.settings.models.api import APISettings
    from prefect.settings.sources import PrefectTomlConfigSettingsSource, PyprojectTomlConfigSettingsSource

    variable = "PREFECT_API_URL"
    if os.environ.get(variable):
        return variable
    # In Prefect's order, all in the working directory.
    if variable in dotenv_values(".env"):
        return f"{variable} in {Path('.env').resolve()}"
    for source in (PrefectTomlConfigSettingsSource(APISettings), PyprojectTomlConfigSettingsSource(APISettings)):
        if source.toml_data.get("url"):
            return f"api.url in {Path(source.toml_file_path).resolve()}"
    profile = get_settings_context().profile
    if variable in {setting.name for setting in profile.settings}:
        return f"{variable} of profile {profile.name} in {PREFECT_PROFILES_PATH.value()}"
    return variable


def _better_address(uri: str) -> str:
    """Return what to say of the address that answers instead, if one does; otherwise how it ends."""
    import requests

    better = f"{uri.rstrip('/')}/api"
    with suppress(requests.RequestException, ValueError):
        if requests.get(f"{better}/health", timeout=TIMEOUT_SECONDS).text.strip() == "true":
            return f": a Prefect server answers at {without_password(better)}"
    return API


def _wrong_answer(name: str, place: str, uri: str, status: int, text: str, given: bool = False) -> ModelError:
    """Return the error for an answer of another kind. given: whether the request had a login."""
    found = f"HTTP {status}, {' '.join(text.split())[:60]!r}"
    if status in (401, 403):
        return ModelError(
            f"The {name} server at {without_password(uri)} ({place}) refuses "
            f"{'this login' if given else 'requests without a login'}: {found}.",
            f"{'Correct' if given else 'Set'} {LOGIN[name]}.",
        )
    hint = " (its address is that of its pages, up to the #)" if name == "MLflow" else _better_address(uri)
    return _unreachable(place, uri, f"No {name} server answers", found, hint)


def _connect(uri: str) -> None:
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = sqlalchemy.make_url(uri)
        limits = {"connect_timeout": TIMEOUT_SECONDS} if url.get_driver_name() in DRIVERS_WITH_TIMEOUT else {}
        sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=limits).connect().close()
    except ImportError as error:
        raise ModelError(
            f"The driver for {without_password(uri)} is missing: {error}.",
            "For PostgreSQL: pip install 'lstm-text[postgres]'.",
        ) from None
    except (OSError, ValueError, SQLAlchemyError) as error:
        reason = str(getattr(error, "orig", None) or error)
        raise _unreachable("MLFLOW_TRACKING_URI", uri, "No database opens", reason) from None


def _unreachable(place: str, uri: str, problem: str, reason: str, hint: str = "") -> ModelError:
    reason = without_password(" ".join(reason.split())).rstrip(".?")
    proxies = named_proxies() if uri.startswith("http") else {}
    bypass = f" To reach it without the proxy ({', '.join(proxies)}), add its host to NO_PROXY." if proxies else ""
    remedy = f"Start it or correct {place}{hint}; unset it to use the files in mlruns/.{bypass}"
    if "certificate verify failed" in reason:
        trusted = "MLFLOW_TRACKING_SERVER_CERT_PATH" if place.startswith("MLFLOW") else "PREFECT_API_SSL_CERT_FILE"
        remedy = f"Set {trusted} to the file with the certificate of the authority that signed it."
    return ModelError(f"{problem} at {without_password(uri)} ({place}): {reason}.", remedy)
