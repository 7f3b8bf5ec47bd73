"""Ports of this machine, for the servers that are started here."""

import socket

from lstm_model.errors import ModelError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Raise ModelError where something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ModelError(
                f"Port {port} on {host} is not free: {error.strerror or error}.",
                "Stop what listens there or choose another port (make SERVE_PORT=, UI_PORT=, PREFECT_PORT=).",
            ) from None
