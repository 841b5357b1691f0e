"""A registry's front that behaves badly: it demands a login, sends blobs elsewhere, breaks connections, counts what it is asked."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ..doubles.server import listening
from .extracting import DOCKER, OCI, Image, digest_of


def push(host: str, repository: str, tag: str, image: Image) -> str:
    """Push an image to a plain registry; returns its reference."""
    for name, data in {digest_of(data): data for data in (image.config, *image.packed)}.items():
        with urlopen(Request(f"http://{host}/v2/{repository}/blobs/uploads/", method="POST")) as answer:
            place = answer.headers["Location"]
        urlopen(
            Request(f"{place}&digest={name}", data, {"Content-Type": "application/octet-stream"}, method="PUT")
        ).close()
    push_manifest(host, repository, tag, image.manifest, (DOCKER if image.docker else OCI)[0])
    return f"{host}/{repository}:{tag}"


def push_manifest(host: str, repository: str, tag: str, data: bytes, kind: str) -> None:
    urlopen(
        Request(f"http://{host}/v2/{repository}/manifests/{tag}", data, {"Content-Type": kind}, method="PUT")
    ).close()


@dataclass
class Front:
    """What a front does, and what it saw: (path, headers) of every request."""

    registry: str
    host: str = ""
    login: str | None = None  # user:password for Basic auth
    token: str | None = None  # or for the Bearer flow
    elsewhere: str | None = None  # host that blobs are redirected to
    cut: int | None = None  # bytes after which a layer's connection breaks
    ranges: bool = True
    status: int | None = None  # for every request
    troubles: list[int] = field(default_factory=list)  # statuses for the next layers, one each
    hold: threading.Event | None = None  # layers stop in their middle until it is set
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def blobs(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.asked if "/blobs/" in path]


class _Handler(BaseHTTPRequestHandler):
    front: Front

    def do_GET(self) -> None:  # http.server's name
        front = self.front
        front.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        blob = "/blobs/" in self.path
        if self.path.startswith("/token"):
            allowed = self.headers.get("Authorization") == _basic(front.login)
            self.answer(200 if allowed else 401, json.dumps({"token": front.token}).encode())
        elif front.status:
            self.answer(front.status)
        elif not self.allowed():
            how = f'Bearer realm="http://{front.host}/token",service="s"' if front.token else 'Basic realm="r"'
            self.answer(401, b"", {"WWW-Authenticate": how})
        elif blob and front.elsewhere:
            self.answer(307, b"", {"Location": f"http://{front.elsewhere}{self.path}"})
        else:
            self.forward(blob)

    def allowed(self) -> bool:
        given = self.headers.get("Authorization")
        if self.front.token:
            return given == f"Bearer {self.front.token}"
        return self.front.login is None or given == _basic(self.front.login)

    def forward(self, blob: bool) -> None:
        keep = {
            key: self.headers[key]
            for key in ("Accept", "Range")
            if key in self.headers and (key == "Accept" or self.front.ranges)
        }
        try:
            answer: Any = urlopen(Request(f"http://{self.front.registry}{self.path}", headers=keep))
        except HTTPError as error:
            answer = error
        with answer:
            data = answer.read()
            blob = blob and len(data) > 1000  # configs are left in peace
            if blob and self.front.troubles:
                self.answer(self.front.troubles.pop(0), b"", {"Retry-After": "0"})
                return
            headers = {
                key: answer.headers[key]
                for key in ("Content-Type", "Content-Range", "Docker-Content-Digest")
                if key in answer.headers
            }
            self.answer(
                answer.status, data, headers, self.front.cut if blob else None, self.front.hold if blob else None
            )

    def answer(
        self, status: int, data: bytes = b"", headers: dict[str, str] | None = None, cut: int | None = None, hold: threading.Event | None = None
    ) -> None:  # fmt: skip
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if hold is not None and len(data) > 1000:
            self.wfile.write(data[:1000])
            self.wfile.flush()
            hold.wait(60)
            data = data[1000:]
        if cut is not None and len(data) > cut:
            data = data[:cut]
            self.close_connection = True
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # the reader had enough

    def log_message(self, *words: Any) -> None:
        pass


def _basic(login: str | None) -> str:
    return "Basic " + base64.b64encode((login or "").encode()).decode()


@contextmanager
def serving(front: Front) -> Iterator[Front]:
    """Serve a front on a port of its own."""
    with listening(type("Handler", (_Handler,), {"front": front, "protocol_version": "HTTP/1.1"})) as front.host:
        yield front
