"""Where a server listens: IPv4 and IPv6, and what is said about a place where it cannot."""

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from flows.commands import serve
from flows.settings import parse
from lstm_model.errors import LstmTextError, ModelError, UsageError
from tasks.runtime.ports import address, check_port
from tasks.serving.model_server import ModelServer

NO_ADDRESS = (UsageError, "Name an address of this machine, such as 127.0.0.1, or ::1 where it has IPv6")


@pytest.mark.parametrize(
    ("host", "url", "asked"),
    [
        ("127.0.0.1", "http://127.0.0.1:5002", "127.0.0.1"),
        ("0.0.0.0", "http://0.0.0.0:5002", "127.0.0.1"),
        ("localhost", "http://localhost:5002", "localhost"),
        ("::1", "http://[::1]:5002", "::1"),
        ("::", "http://[::]:5002", "::1"),
        ("[::1]", "http://[::1]:5002", "::1"),
        ("fd00::2", "http://[fd00::2]:5002", "fd00::2"),
    ],
)
def test_a_host_is_an_address_for_the_browser_and_one_for_the_check(host: str, url: str, asked: str) -> None:
    settings = parse(serve.Settings, ["--host", host])
    assert isinstance(settings, serve.Settings)
    assert address(settings.host, 5002) == url
    server = ModelServer(None, Path(), log=None, started=0.0, host=settings.host, port=5002)  # type: ignore[arg-type]
    assert server.connect(timeout=1).host == asked


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_named(host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ModelError, match=f"Port {port} on {host} is not free: Address already in use"):
            check_port(host, port)
    check_port(host, port)


@pytest.mark.parametrize(
    ("host", "number", "expected"),
    [
        ("::1", errno.EADDRNOTAVAIL, NO_ADDRESS),
        ("::1", errno.EAFNOSUPPORT, NO_ADDRESS),
        ("127.0.0.1", errno.EACCES, (ModelError, "Port 80 on 127.0.0.1 is not free: Permission denied")),
    ],
)
def test_a_machine_that_cannot_bind_is_told_apart(
    host: str, number: int, expected: tuple[type[LstmTextError], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(socket.socket):
        def bind(self, place: Any) -> None:
            raise OSError(number, "Permission denied" if number == errno.EACCES else "no IPv6")

    monkeypatch.setattr("socket.socket", Refusing)
    with pytest.raises(expected[0]) as refused:
        check_port(host, 80)
    assert expected[1] in str(refused.value)


@pytest.mark.parametrize("host", ["::2", "192.0.2.1", "nobody.invalid", "a..b", "fe80::1::2"])
def test_a_host_of_no_machine_is_a_usage_error(host: str) -> None:
    with pytest.raises(NO_ADDRESS[0], match=NO_ADDRESS[1]):
        check_port(host, 5002)
