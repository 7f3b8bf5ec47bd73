"""The MLflow and Prefect pages, served on loopback."""

import sys
import time

import mlflow

from lstm_model.errors import ModelError
from tasks.runtime.child_processes import BIN, child_process, exit_code, until_interrupted
from tasks.runtime.ports import LOOPBACK, check_port
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import artifacts_root


@until_interrupted
def serve_pages(*, mlflow_port: int, prefect_port: int) -> int:
    """Run the MLflow and Prefect servers on loopback until one ends or Ctrl-C; return the exit code."""
    for port in (mlflow_port, prefect_port):
        check_port(LOOPBACK, port)
    uri = mlflow.get_tracking_uri()
    # Without the parameter MLflow opens its pages for agents; runs are behind the switch at the top left.
    mlflow_pages = f"http://{LOOPBACK}:{mlflow_port}/#/experiments?workflowType=machine_learning"
    print(f"MLflow   {mlflow_pages}\nPrefect  http://{LOOPBACK}:{prefect_port}", file=sys.stderr)
    if uri.startswith("http"):
        raise ModelError(
            f"MLFLOW_TRACKING_URI is {without_password(uri)}, a server that has its own pages.",
            "Open its address, and start `prefect server start` alone.",
        )
    tracking = [f"{BIN}/mlflow", "server", "--artifacts-destination", str(artifacts_root())]
    tracking += ["--host", LOOPBACK, "--workers", "1", "--port", str(mlflow_port)]
    prefect = [sys.executable, "-P", "-m", "tasks.runtime.state.prefect_database", "prefect", "server", "start"]
    prefect += ["--host", LOOPBACK, "--port", str(prefect_port)]
    environment = {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_BACKEND_STORE_URI": uri,  # Not on the command line, where `ps` would show a password.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_UI_API_URL": f"http://{LOOPBACK}:{prefect_port}/api",
        "PREFECT_SERVER_API_BASE_PATH": "/api",
    }
    with child_process(tracking, environment) as one, child_process(prefect, environment) as other:
        while one.poll() is None and other.poll() is None:
            time.sleep(0.2)
        return exit_code(other, "Prefect's server") if one.returncode is None else exit_code(one, "MLflow's server")
