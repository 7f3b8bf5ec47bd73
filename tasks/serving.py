"""Servers as child processes: the champion over HTTP, and the pages of MLflow and Prefect. Loopback by default."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow

from lstm_model.errors import ModelError
from tasks.fetch_champion import resolve_model
from tasks.local_state import artifacts_root

STOP_SECONDS = 10.0


def serve_model(model_uri: str, *, host: str, port: int, workers: int) -> int:
    """Run `mlflow models serve` in this environment until it ends or Ctrl-C; return its exit code."""
    name, version, _ = resolve_model(model_uri)
    _check_port(host, port)
    print(f"Serving {name} version {version} on http://{host}:{port}/invocations", file=sys.stderr)
    command = ["mlflow", "models", "serve", "--model-uri", f"models:/{name}/{version}", "--env-manager", "local"]
    command += ["--host", host, "--port", str(port), "--workers", str(workers)]
    return _run_until_interrupted([command])


def serve_pages(*, mlflow_port: int, prefect_port: int) -> int:
    """Run the MLflow and Prefect servers on loopback until one ends or Ctrl-C; return the exit code."""
    for port in (mlflow_port, prefect_port):
        _check_port("127.0.0.1", port)
    os.environ["PREFECT_UI_API_URL"] = f"http://127.0.0.1:{prefect_port}/api"
    print(f"MLflow   http://127.0.0.1:{mlflow_port}\nPrefect  http://127.0.0.1:{prefect_port}", file=sys.stderr)
    if mlflow.get_tracking_uri().startswith("http"):
        raise ModelError(
            expected="MLFLOW_TRACKING_URI to be a database that pages can be served from",
            found=mlflow.get_tracking_uri(),
            remedy="That server has its pages already: open its address, and start `prefect server start` alone.",
        )
    tracking = ["mlflow", "server", "--backend-store-uri", mlflow.get_tracking_uri()]
    tracking += ["--artifacts-destination", str(artifacts_root()), "--host", "127.0.0.1", "--workers", "1"]
    tracking += ["--port", str(mlflow_port)]
    prefect = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(prefect_port)]
    return _run_until_interrupted([tracking, prefect])


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ModelError(
                expected=f"port {port} on {host} to be free",
                found=error.strerror or str(error),
                remedy="Stop what listens there, or choose another port (make SERVE_PORT=, UI_PORT=, PREFECT_PORT=).",
            ) from None


def _run_until_interrupted(commands: list[list[str]]) -> int:
    """Run the commands side by side; when one ends, or on a signal, stop all and return the exit code.

    MLflow runs `uvicorn` from PATH: this environment's bin folder goes first, activated or not.
    """
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    environment["MLFLOW_TRACKING_URI"] = mlflow.get_tracking_uri()
    previous = signal.signal(signal.SIGTERM, _interrupt)
    processes = [
        # A session of its own: the whole group is stopped, workers included.
        subprocess.Popen([f"{bin_folder}/{name}", *arguments], env=environment, start_new_session=True)
        for name, *arguments in commands
    ]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
        return next(process.returncode for process in processes if process.returncode is not None)
    except KeyboardInterrupt:
        return 130
    finally:
        _stop(processes)
        signal.signal(signal.SIGTERM, previous)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
