"""A registry that answers every question about one image, and lies about some: by kind of content, plain or with TLS."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from .server import listening

INDEX, MANIFEST, CONFIG, BLOB, TAGS, TOKEN, HEAD = "index", "manifest", "config", "blob", "tags", "token", "head"
OCI = "application/vnd.oci.image."


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def as_json(data: Any) -> bytes:
    return json.dumps(data).encode()


def _layer() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo("etc/os-release")
        member.size = 8
        tar.addfile(member, io.BytesIO(b"ID=tiny\n"))
    return data.getvalue()


LAYER = _layer()
PACKED = gzip.compress(LAYER, mtime=0)
WHOLE_CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Env": ["A=b"], "Labels": {"a": "b"}},
    "history": [{"created_by": "COPY x"}],
    "rootfs": {"type": "layers", "diff_ids": [digest_of(LAYER)]},
}


def described(data: bytes, kind: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": OCI + kind, "digest": digest_of(data), "size": len(data), **more}


WHOLE_MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI + "manifest.v1+json",
    "config": described(as_json(WHOLE_CONFIG), "config.v1+json"),
    "layers": [described(PACKED, "layer.v1.tar+gzip")],
}
AMD64 = {"os": "linux", "architecture": "amd64"}
WHOLE_INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI + "index.v1+json",
    "manifests": [described(as_json(WHOLE_MANIFEST), "manifest.v1+json", platform=AMD64)],
}


@dataclass
class Registry:
    """What is served. A lie is asked first: it answers (True), or leaves the answer to the truth.

    `asked` are the paths with the Authorization header that came with them.
    """

    lie: Callable[[Handler, str], bool] = lambda *_: False
    tags: list[str] = field(default_factory=lambda: ["0.6.1.post1", "1.0.0", "1.6.2"])
    contents: dict[str, bytes] = field(default_factory=dict)  # by path
    host: str = ""
    scheme: str = "http"
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def replace(self, index: Any = None, manifest: Any = None, config: Any = None) -> None:
        """Serve other content, each named by its true digest: JSON, or bytes as they are."""
        data = {
            name: given if isinstance(given, bytes) else as_json(given)
            for name, given in ((CONFIG, config), (MANIFEST, manifest), (INDEX, index))
            if given is not None
        }
        if CONFIG in data:
            made = {**WHOLE_MANIFEST, "config": described(data[CONFIG], "config.v1+json")}
            data.setdefault(MANIFEST, as_json(made))
        if MANIFEST in data:
            entry = described(data[MANIFEST], "manifest.v1+json", platform=AMD64)
            data.setdefault(INDEX, as_json({**WHOLE_INDEX, "manifests": [entry]}))
        self.contents = {digest_of(content): content for content in data.values()}
        if INDEX in data:
            self.contents["top"] = data[INDEX]


class Handler(BaseHTTPRequestHandler):
    """Answers of a registry: every repository has the same image under every tag."""

    registry: Registry
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # http.server's name
        self.registry.asked.append((self.path, self.headers.get("Authorization", "")))
        kind, data = self.true()
        with suppress(OSError):  # the reader had enough
            if self.registry.lie(self, kind):
                return
            self.answer(404 if data is None else 200, data or b"{}")

    do_HEAD = do_GET  # noqa: N815  # http.server's names
    do_POST = do_GET  # noqa: N815

    def true(self) -> tuple[str, bytes | None]:
        """(kind of what is asked for, the true answer: None for what is not here)."""
        path = self.path.partition("?")[0]
        name, contents = path.rpartition("/")[2], self.registry.contents
        if self.command == "HEAD":
            return HEAD, None
        if path == "/token":
            return TOKEN, as_json({"token": "t"})
        if path.endswith("/tags/list"):
            return TAGS, as_json({"name": "x", "tags": self.registry.tags})
        if "/manifests/" in path and not name.startswith("sha256:"):
            return INDEX, contents.get("top", as_json(WHOLE_INDEX))
        found = {digest_of(data): data for data in map(as_json, (WHOLE_INDEX, WHOLE_MANIFEST, WHOLE_CONFIG))}
        data = contents.get(name) or found.get(name)
        if "/manifests/" in path:
            return MANIFEST, data
        return (BLOB, PACKED) if name == digest_of(PACKED) else (CONFIG, data)

    def answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(registry: Registry, certificate: tuple[Path, Path] | None = None) -> Iterator[Registry]:
    """Serve on a port of its own; `certificate`: (certificate, key) for TLS."""

    registry.scheme = "https" if certificate else "http"
    with listening(type("Bound", (Handler,), {"registry": registry}), certificate) as registry.host:
        yield registry
