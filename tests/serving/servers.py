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
def serving(
    model_uri: str, *flags: str, stderr: Path | None = None, host: str = "127.0.0.1", stop: int = signal.SIGTERM
) -> Iterator[str]:
    """Serve the model until the block ends; yield the address. Afterwards nothing is left on the port.

    host: where the server is asked. stop: the signal that ends it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    # The environment's bin folder is not on PATH, as when the environment is not activated.
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    command = [f"{Path(sys.executable).parent}/lstm-text", "serve", "--model-uri", model_uri, "--port", str(port)]
    with stderr.open("wb") if stderr else nullcontext() as told:
        process = subprocess.Popen([*command, *flags], env=environment, stderr=told)
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        wait_for(f"{address}/ping", process)
        yield address
    finally:
        process.send_signal(stop)
        assert process.wait(timeout=30) == (129 if stop == signal.SIGHUP else 130)
        with socket.socket(family) as probe:
            assert probe.connect_ex((host, port)) != 0


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}; exit code {process.poll()}")
