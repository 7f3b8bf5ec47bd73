"""The environment's proxies are for other machines: servers on this one are reached without them."""

import os
from urllib.parse import urlsplit

HERE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
SCHEMES = ("http", "https", "socks5", "socks5h")


def bypass_proxies_on_loopback() -> None:
    """Add this machine to NO_PROXY, which MLflow (requests), Prefect (httpx, websockets) and child processes read.

    Prefect's client fails at every request where a variable has an address that it cannot use, such as GNOME's
    `socks://host:port`, whether NO_PROXY is set or not. Then `*` is added too: httpx reads no proxies with it
    (httpx/_utils.py); for requests and urllib `*` counts only where it is the whole value.
    """
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    proxies = named_proxies().values()
    if listed.strip() == "*" or not proxies:
        return
    names = [*listed.split(","), *HERE, *("*" for address in proxies if not _is_usable(address))]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys(filter(None, map(str.strip, names))))


def named_proxies() -> dict[str, str]:
    """Return the variables that name a proxy, in upper or lower case, with their values."""
    either = [name for variable in VARIABLES for name in (variable, variable.lower())]
    return {name: os.environ[name] for name in either if os.environ.get(name)}


def _is_usable(address: str) -> bool:
    """Return whether Prefect's client can use a proxy's address."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # Of `port`, too: above 65,535 or no number.
        return False
