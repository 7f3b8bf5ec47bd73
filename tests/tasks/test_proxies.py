"""Proxies: not used for this machine, in force for others."""

import os
import threading
from http.server import ThreadingHTTPServer

import pytest

from tests.gateway import NOBODY, PROXIES, Gateway

ALL_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.mark.parametrize("case", PROXIES)
def test_every_client_reaches_this_machine_past_the_proxy(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    import requests
    from websockets.sync.client import connect
    from websockets.sync.server import serve

    from tasks.runtime.state.proxies import bypass_proxies_on_loopback

    set_proxies(monkeypatch, PROXIES[case])
    bypass_proxies_on_loopback()
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for host in ("127.0.0.1", "localhost"):
            address = f"http://{host}:{server.server_port}/"
            assert httpx.get(address).status_code == requests.get(address, timeout=5).status_code == 403
        server.shutdown()
    with serve(lambda socket: socket.send("hello"), "127.0.0.1", 0) as sockets:
        threading.Thread(target=sockets.serve_forever, daemon=True).start()
        with connect(f"ws://127.0.0.1:{sockets.socket.getsockname()[1]}") as socket:
            assert socket.recv() == "hello"


def test_a_proxy_stays_in_force_for_other_machines(
    gateway: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx
    import requests

    from tasks.runtime.state.proxies import bypass_proxies_on_loopback

    address = f"http://127.0.0.1:{gateway.server_port}"
    set_proxies(monkeypatch, {"HTTP_PROXY": address, "NO_PROXY": "intranet.example"})
    bypass_proxies_on_loopback()
    assert os.environ["NO_PROXY"] == "intranet.example,127.0.0.1,localhost,::1,0.0.0.0"
    assert httpx.get("http://tracking.example/").status_code == 403
    assert requests.get("http://tracking.example/", timeout=5).status_code == 403
    set_proxies(monkeypatch, {"HTTP_PROXY": address, "ALL_PROXY": f"socks://{NOBODY}"})
    bypass_proxies_on_loopback()
    assert requests.get("http://tracking.example/", timeout=5).status_code == 403
    set_proxies(monkeypatch, {"HTTP_PROXY": address, "NO_PROXY": "*"})
    bypass_proxies_on_loopback()
    assert os.environ["NO_PROXY"] == "*"


def set_proxies(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ALL_NAMES:
        for either in (name, name.lower()):
            monkeypatch.setenv(either, "")  # So that what the product sets is undone, too.
            monkeypatch.delenv(either)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
