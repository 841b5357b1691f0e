"""A registry's front that takes writes and has accidents: connections that break before, in and after a piece, uploads that are forgotten."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from ..doubles.server import listening


@dataclass
class WriteFront:
    """What a front does, and what it saw: (method, path without query) of every request.

    `troubles` are for the next PATCHes, one each: `before` and `after` break the connection before and after the registry
    has the piece, `half` when it has half of it, a number is a status. `status` answers everything that writes.
    """

    registry: str
    host: str = ""
    troubles: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # statuses for the next POSTs
    status: int | None = None
    hold: threading.Event | None = None  # a PATCH waits for it, unanswered
    held: threading.Event = field(default_factory=threading.Event)
    whole: bool = True  # Location is a whole address, not a path
    remembers: bool = (
        False  # says where an upload is after a lost answer, as the specification has it and docker-registry has not
    )
    places: dict[str, str] = field(default_factory=dict)  # where uploads really go on, by path
    asked: list[tuple[str, str]] = field(default_factory=list)

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for how, path in self.asked if how == method and part in path)


class _Handler(BaseHTTPRequestHandler):
    front: WriteFront

    def handle_any(self) -> None:
        front, method = self.front, self.command
        front.asked.append((method, self.path.partition("?")[0]))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if front.status and method != "GET":
            self.answer(front.status, {}, b"")
            return
        if method == "POST" and front.refused:
            self.answer(front.refused.pop(0), {}, b"")
            return
        if method == "PATCH" and front.hold:
            front.held.set()
            front.hold.wait(60)
        trouble = front.troubles.pop(0) if method == "PATCH" and front.troubles else ""
        if trouble == "before":
            self.close()
        elif trouble == "half":
            self.forward(method, body[: len(body) // 2])
            self.close()
        elif trouble == "after":
            self.forward(method, body)
            self.close()
        elif trouble:
            self.answer(int(trouble), {}, b"")
        else:
            self.answer(*self.forward(method, body))

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815  # http.server's names

    def close(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def forward(self, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection(self.front.registry, timeout=30)) as line:
            return self._forward(line, method, body)

    def _forward(self, line: http.client.HTTPConnection, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        keep = ("Accept", "Content-Type", "Range")
        headers = {key: self.headers[key] for key in keep if key in self.headers} | {"Content-Length": str(len(body))}
        if start := self.headers.get("Content-Range"):
            begin = int(start.partition("-")[0])
            headers["Content-Range"] = f"{begin}-{begin + len(body) - 1}"
        path = (
            self.front.places.get(self.path.partition("?")[0], self.path) if method in ("GET", "PATCH") else self.path
        )
        line.request(method, path, body, headers)
        with line.getresponse() as answer:
            data = answer.read()
            kept = {
                key: value for key, value in answer.getheaders() if key.lower() not in ("content-length", "connection")
            }
            if place := kept.get("Location"):
                if self.front.remembers:
                    self.front.places[urlsplit(place).path] = place.replace(f"http://{self.front.registry}", "")
                to = f"http://{self.front.host}" if self.front.whole else ""
                kept["Location"] = place.replace(f"http://{self.front.registry}", to)
            return answer.status, kept, data

    def answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def taking(front: WriteFront) -> Iterator[WriteFront]:
    """Serve a front on a port of its own."""
    with listening(type("Handler", (_Handler,), {"front": front, "protocol_version": "HTTP/1.1"})) as front.host:
        yield front
