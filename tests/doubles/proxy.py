"""An HTTP proxy that takes every name for this machine, wants a login, and keeps what it was asked."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from .server import listening


@dataclass
class Proxy:
    """`login`: USER:PASSWORD that it wants. `asked`: what it was asked, and with which Proxy-Authorization."""

    login: str | None = None
    host: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy

    def allowed(self) -> bool:
        given = self.headers.get("Proxy-Authorization", "")
        self.proxy.asked.append((self.path, given))
        if self.proxy.login is None or given == "Basic " + base64.b64encode(self.proxy.login.encode()).decode():
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="corp"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:  # http.server's name
        if not self.allowed():
            return
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:  # http.server's name
        if not self.allowed():
            return
        parts = urlsplit(self.path)
        request = Request(
            parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl(),
            headers={key: self.headers[key] for key in ("Accept", "Authorization") if key in self.headers},
        )
        try:
            answer: Any = build_opener(ProxyHandler({})).open(request)
        except OSError as error:  # an HTTPError is an answer too
            answer = error
        with answer:
            data = answer.read()
            self.send_response(answer.status)
            for key in ("Content-Type", "WWW-Authenticate"):
                if key in answer.headers:
                    self.send_header(key, answer.headers[key])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Serve on a port of its own."""
    with listening(type("Bound", (_Handler,), {"proxy": proxy})) as proxy.host:
        yield proxy
