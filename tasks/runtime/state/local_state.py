"""Where runs keep their state, and the environment that puts each tool's state there and turns off its telemetry."""

import errno
import os
import sys
import tempfile
import unicodedata
import warnings
from pathlib import Path

from lstm_model.errors import UsageError
from tasks.runtime.state.credentials import move_credentials
from tasks.runtime.state.proxies import bypass_proxies_on_loopback

PROJECT = Path(__file__).resolve().parents[3]
DEFAULT_PREFECT_UI = "http://127.0.0.1:4200"


def state_root() -> Path:
    """Return the folder of all run state: $LSTM_TEXT_STATE, or mlruns/ in the project."""
    return Path(os.environ.get("LSTM_TEXT_STATE") or PROJECT / "mlruns").expanduser().resolve()


def stages_root() -> Path:
    return state_root() / "stages"


def artifacts_root() -> Path:
    """Return the folder of MLflow's artifacts where its database is the embedded one."""
    return state_root() / "artifacts"


NEEDED = {  # A notebook or another project may have set others.
    "KERAS_BACKEND": "tensorflow",
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": os.devnull,  # An empty file: matplotlib's own style.
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",  # What is logged is read back.
}
# Another experiment or run than that of the settings; a shorter training; a library's warning as an error.
UNWANTED = (
    "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH", "PYTHONWARNINGS",
)  # fmt: skip
CERTIFICATES_FOR_HTTPS = (
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"
)  # fmt: skip


def use_local_state() -> None:
    """Set the variables that the environment does not, and correct what breaks the tools. Call before importing them.

    A variable that is set stays, so that the same command runs against a team's servers. Exceptions: NEEDED, UNWANTED,
    passwords and proxies. Raises UsageError where a folder or certificate cannot be used.
    """
    root = state_root()
    defaults = {
        "PREFECT_HOME": root / "prefect",
        "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
        # Telemetry: MLflow honours DO_NOT_TRACK only as `true`.
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "GX_ANALYTICS_ENABLED": "false",
        # Requests to a server that is down are retried for about a minute (0, 4, 8, 16, 32 s), not for MLflow's four.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
        # Prefect's server returns this while its database restarts; its client retries that long.
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
        # With uv on PATH, MLflow would copy the project's lock into each model and export all of it.
        "MLFLOW_UV_AUTO_DETECT": "false",
        "MLFLOW_LOG_UV_FILES": "false",
        "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # TensorFlow would take all of a GPU's memory at once.
        # Arrow's own allocator keeps what it frees: about 0.5 GB after a million rows.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    _check_surroundings(root)
    for name, value in defaults.items():
        if not os.environ.get(name):  # Empty means unset: MLflow would write to the working directory.
            os.environ[name] = str(value)
    # Not ~/.keras, whose keras.json sets the type of all weights and more.
    os.environ.update({**NEEDED, "KERAS_HOME": str(root / "keras")})
    if os.environ.get("PREFECT_LOGGING_LEVEL") != "DEBUG":
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"  # Of a line per stage.
    for name in UNWANTED:
        os.environ.pop(name, None)
    move_credentials()
    bypass_proxies_on_loopback()
    if sys.warnoptions:  # PYTHONWARNINGS or -W, undone in this process: with `error`, a warning of MLflow ends a run.
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)


def _check_surroundings(root: Path) -> None:
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
        for path in (root / name for name in ("artifacts", "mlflow.db", "prefect", "prefect/prefect.db", "stages")):
            if path.exists() and not os.access(path, os.W_OK):  # Made by another user, such as a container's.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(
            f"Cannot write run state to {path}: {error.strerror}.",
            "Fix its permissions, or set LSTM_TEXT_STATE to a folder that you can write to.",
        ) from None
