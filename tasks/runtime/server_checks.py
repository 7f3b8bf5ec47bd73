"""Are the servers that the environment names there? Asked before any work, so that a wrong address is told at once."""

import os

from lstm_model.errors import ModelError
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.proxies import named_proxies

TIMEOUT_SECONDS = 5
EMBEDDED = "sqlite"
DATABASES = (EMBEDDED, "postgresql", "mysql", "mssql")
IMPATIENT_DRIVERS = ("psycopg", "psycopg2", "pymysql", "mysqldb")  # Those that take connect_timeout.


def check_tracking_server() -> None:
    """Raise ModelError if nothing that can keep runs answers at $MLFLOW_TRACKING_URI."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", EMBEDDED)
    if uri.startswith(("http://", "https://")):
        _ask("MLFLOW_TRACKING_URI", uri, what="an MLflow server", answer="OK")
    elif is_database(uri) and not uri.startswith(EMBEDDED):
        _connect(uri)
    elif "://" not in uri and uri != "databricks":
        raise ModelError(
            expected="MLFLOW_TRACKING_URI to be http://HOST:PORT or postgresql://USER@HOST/DATABASE",
            found=repr(uri),
            remedy="Correct it; unset, the files in mlruns/ are used.",
        )


def check_prefect_server(uri: str) -> None:
    """Raise ModelError if no Prefect server answers at PREFECT_API_URL."""
    _ask("PREFECT_API_URL", uri, what="a Prefect server, its address ending in /api,", answer="true")


def is_database(uri: str) -> bool:
    """Return whether MLflow opens this tracking address as a database, without a server of its own in between."""
    return uri.partition("://")[0].partition("+")[0] in DATABASES


def _ask(variable: str, uri: str, *, what: str, answer: str) -> None:
    import requests

    try:
        response = requests.get(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_SECONDS)
    except requests.exceptions.SSLError:  # The clients have settings of their own for certificates.
        return
    except (requests.RequestException, ValueError) as error:
        raise _unreachable(variable, uri, expected=what, found=_innermost(error)) from None
    if 400 <= response.status_code < 500:  # A proxy that wants a login, or serves the API alone: the clients will tell.
        return
    found = response.text.strip()
    if response.status_code != 200 or found != answer:
        shown = f"HTTP {response.status_code}, {found[:60]!r}"
        raise _unreachable(variable, uri, expected=what, found=shown)


def _innermost(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    return _innermost(cause) if cause else str(error)


def _connect(uri: str) -> None:
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = sqlalchemy.make_url(uri)
        limits = {"connect_timeout": TIMEOUT_SECONDS} if url.get_driver_name() in IMPATIENT_DRIVERS else {}
        sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=limits).connect().close()
    except ImportError as error:
        raise ModelError(
            expected=f"the driver for {without_password(uri)}",
            found=str(error),
            remedy="For PostgreSQL: pip install 'lstm-text[postgres]'.",
        ) from None
    except (OSError, ValueError, SQLAlchemyError) as error:
        found = str(getattr(error, "orig", None) or error)
        raise _unreachable("MLFLOW_TRACKING_URI", uri, expected="a database that opens", found=found) from None


def _unreachable(variable: str, uri: str, *, expected: str, found: str) -> ModelError:
    proxies = named_proxies() if uri.startswith("http") else {}
    through = f" If it must not be reached through a proxy ({', '.join(proxies)}), name its host in NO_PROXY."
    return ModelError(
        expected=f"{expected} at {without_password(uri)} ({variable})",
        found=without_password(" ".join(found.split())),
        remedy=f"Start it, or correct {variable}; unset, the files in mlruns/ are used.{through if proxies else ''}",
    )
