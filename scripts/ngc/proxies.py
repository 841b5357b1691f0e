"""Which proxy an address is asked through: the variables http_proxy, https_proxy, all_proxy and no_proxy, read as curl, pip and Docker do."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ngc.errors import Wrong

LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[?::1\]?)(:\d+)?")
_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """A proxy: its address without a login, and the Basic login that it is told, if there is one."""

    address: str
    login: tuple[str, str] | None = None

    @property
    def socks(self) -> bool:
        return self.address.startswith("socks")

    @property
    def headers(self) -> dict[str, str]:
        """Proxy-Authorization."""
        if self.login is None:
            return {}
        return {"proxy-authorization": "Basic " + base64.b64encode(":".join(self.login).encode()).decode()}


def of(url: str) -> Proxy | None:
    """The proxy for an address, None for none. Raises Wrong for one that cannot be used, without its login."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    if LOOPBACK.fullmatch(host) or _excepted(host, port):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        if text := _variable(name):
            return _read(text, name)
    return None


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _read(text: str, name: str) -> Proxy:
    # By hand: a password may hold # and /, which end the host part for urlsplit, and what is refused must not be shown whole.
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    login, _, place = rest.rpartition("@")
    address = f"{scheme.lower()}://{place.rstrip('/')}"
    try:
        good = scheme.lower() in _SCHEMES and bool(urlsplit(address).hostname) and (urlsplit(address).port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise Wrong(
            f"the variable {name} names no proxy; write http://HOST:PORT, with a login http://USER:PASSWORD@HOST:PORT"
        )
    user, _, password = login.partition(":")
    return Proxy(address, (unquote(user), unquote(password)) if login else None)


def _excepted(host: str, port: int) -> bool:
    """Whether no_proxy names a host: `*`, names (and what is below them), `.name` and `*.name` (only below), addresses, networks, each with or without a port."""
    return any(_names(entry.strip(), host.lower().rstrip("."), port) for entry in _variable("no_proxy").split(","))


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    match = re.fullmatch(r"(?P<name>\[[0-9a-fA-F:]+\]|[^:]+)(?::(?P<port>\d+))?", entry)
    if not match or int((match["port"] or str(port))[:6]) != port:
        return False
    name = match["name"].strip("[]").lower().rstrip(".")
    above = name.removeprefix("*").removeprefix(".")
    return bool(above) and (host.endswith("." + above) or (host == above and name == above))
