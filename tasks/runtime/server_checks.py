"""Check the servers that the environment names before any work, so that a wrong address is reported at once."""

import os

from lstm_model.errors import ModelError
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.proxies import named_proxies

TIMEOUT_SECONDS = 5
EMBEDDED = "sqlite"
DATABASES = (EMBEDDED, "postgresql", "mysql", "mssql")
DRIVERS_WITH_TIMEOUT = ("psycopg", "psycopg2", "pymysql", "mysqldb")  # Those that take connect_timeout.


def check_tracking_server() -> None:
    """Raise ModelError if no MLflow server or database answers at $MLFLOW_TRACKING_URI."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", EMBEDDED)
    if uri.startswith(("http://", "https://")):
        _check_health("MLflow", "MLFLOW_TRACKING_URI", uri, healthy="OK")
    elif is_database(uri) and not uri.startswith(EMBEDDED):
        _connect(uri)
    elif "://" not in uri and uri != "databricks":
        raise ModelError(
            f"MLFLOW_TRACKING_URI is {uri!r}, which is not the address of a server or database.",
            "Set it to http://HOST:PORT or postgresql://USER@HOST/DATABASE, or unset it to use the files in mlruns/.",
        )


def check_prefect_server(uri: str) -> None:
    """Raise ModelError if no Prefect server answers at PREFECT_API_URL."""
    _check_health("Prefect", "PREFECT_API_URL", uri, healthy="true", hint=" (its address ends in /api)")


def is_database(uri: str) -> bool:
    """Return whether MLflow opens this tracking address as a database, without a server in between."""
    return uri.partition("://")[0].partition("+")[0] in DATABASES


def _check_health(name: str, variable: str, uri: str, *, healthy: str, hint: str = "") -> None:
    import requests

    problem = f"No {name} server answers"
    try:
        response = requests.get(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_SECONDS)
    except requests.exceptions.SSLError:  # The clients have their own settings for certificates.
        return
    except (requests.RequestException, ValueError) as error:
        raise _unreachable(variable, uri, problem, _innermost(error), hint) from None
    if 400 <= response.status_code < 500:  # A proxy that wants a login or serves only the API: the clients report it.
        return
    text = response.text.strip()
    if response.status_code != 200 or text != healthy:
        raise _unreachable(variable, uri, problem, f"HTTP {response.status_code}, {text[:60]!r}", hint)


def _innermost(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    return _innermost(cause) if cause else str(error)


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


def _unreachable(variable: str, uri: str, problem: str, reason: str, hint: str = "") -> ModelError:
    reason = without_password(" ".join(reason.split())).rstrip(".?")
    proxies = named_proxies() if uri.startswith("http") else {}
    bypass = f" To reach it without the proxy ({', '.join(proxies)}), add its host to NO_PROXY." if proxies else ""
    return ModelError(
        f"{problem} at {without_password(uri)} ({variable}): {reason}.",
        f"Start it or correct {variable}{hint}; unset it to use the files in mlruns/.{bypass}",
    )
