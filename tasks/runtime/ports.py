"""Ports of this machine, for the servers that are started here."""

import errno
import socket

from lstm_model.errors import ModelError, UsageError

LOOPBACK = "127.0.0.1"
REACHED_AT = {"0.0.0.0": LOOPBACK, "::": "::1"}  # A server that listens on every address.


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def address(host: str, port: int) -> str:
    """Return http://HOST:PORT, with an IPv6 address in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_port(host: str, port: int) -> None:
    """Raise ModelError where something listens on the port, and UsageError for a host that nothing can listen on."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) not in (errno.EADDRINUSE, errno.EACCES):
            raise UsageError(
                f"A server cannot listen on {host}: {reason}.",
                "Name an address of this machine, such as 127.0.0.1, or ::1 where it has IPv6.",
            ) from None
        raise ModelError(
            f"Port {port} on {host} is not free: {reason}.",
            "Stop what listens there or choose another port (make SERVE_PORT=, UI_PORT=, PREFECT_PORT=).",
        ) from None
