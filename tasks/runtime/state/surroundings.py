"""Check what every command needs of its surroundings: folders that it can write to, certificates that are there."""

import errno
import os
import tempfile
import unicodedata
from pathlib import Path

from lstm_model.errors import UsageError

WRITTEN = ("artifacts", "mlflow.db", "prefect", "prefect/prefect.db", "stages")
CERTIFICATES_FOR_HTTPS = (
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"
)  # fmt: skip


def check_surroundings(root: Path) -> None:
    """Create the folder of run state. Raises UsageError where it, or what a variable names, cannot be used."""
    _check_state_folder(root)
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UsageError(
            f"No folder for temporary files can be written: {error.strerror}.",
            "Set TMPDIR to a folder that you can write to.",
        ) from None
    https = os.environ.get("MLFLOW_TRACKING_URI", "").startswith("https:")
    # httpx (Prefect) reads the first for every server, also for http on this machine; requests (MLflow) the others.
    for variable in ("SSL_CERT_FILE", *(CERTIFICATES_FOR_HTTPS if https else ())):
        if (path := os.environ.get(variable)) and not Path(path).exists():
            raise UsageError(f"{variable} is {path!r}, which does not exist.", f"Correct or unset {variable}.")


def _check_state_folder(root: Path) -> None:
    # A database's address, which this path is a part of, ends at `?`.
    if odd := [one for one in str(root) if one == "?" or unicodedata.category(one) in ("Cc", "Cs")]:
        raise UsageError(
            f"The folder of run state, {str(root)!r}, has {odd[0]!r} in its path, which its databases cannot have.",
            "Set LSTM_TEXT_STATE to another folder.",
        )
    path = root
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
        for path in (root / name for name in WRITTEN):
            if path.exists() and not os.access(path, os.W_OK):  # Made by another user, such as a container's.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(
            f"Cannot write run state to {path}: {error.strerror}.",
            "Fix its permissions, or set LSTM_TEXT_STATE to a folder that you can write to.",
        ) from None
