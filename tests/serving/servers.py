"""A real `lstm-text serve` for a test."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import mlflow
import requests


@contextmanager
def serving(model_uri: str, *flags: str, stderr: Path | None = None) -> Iterator[str]:
    """Serve the model until the block ends; yield the address. Afterwards nothing is left on the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The environment's bin folder is not on PATH, as when the environment is not activated.
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    command = [f"{Path(sys.executable).parent}/lstm-text", "serve", "--model-uri", model_uri, "--port", str(port)]
    with stderr.open("wb") if stderr else nullcontext() as told:
        process = subprocess.Popen([*command, *flags], env=environment, stderr=told)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/ping", process)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}; exit code {process.poll()}")
