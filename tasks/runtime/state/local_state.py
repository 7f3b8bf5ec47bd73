"""Where runs keep their state, and the environment that puts each tool's state there and turns off its telemetry."""

import os
import sys
import warnings
from pathlib import Path

from tasks.runtime.state.credentials import move_credentials
from tasks.runtime.state.proxies import bypass_proxies_on_loopback
from tasks.runtime.state.surroundings import check_surroundings

PROJECT = Path(__file__).resolve().parents[3]
DEFAULT_PREFECT_UI = "http://127.0.0.1:4200"


def state_root() -> Path:
    """Return the folder of all run state: $LSTM_TEXT_STATE, or mlruns/ in the project."""
    return Path(os.environ.get("LSTM_TEXT_STATE") or PROJECT / "mlruns").expanduser().resolve()


def stages_root() -> Path:
    """Return the folder of the stage store."""
    return state_root() / "stages"


def artifacts_root() -> Path:
    """Return the folder of MLflow's artifacts where its database is the embedded one."""
    return state_root() / "artifacts"


def logs_root() -> Path:
    """Return the folder of what libraries print while a command runs a flow."""
    return state_root() / "logs"


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
    check_surroundings(root)
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
