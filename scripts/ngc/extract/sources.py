"""Where an image comes from: a registry, a local engine, an OCI layout or a `docker save` archive. All give blobs."""

from __future__ import annotations

import io
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ngc import engine as engines
from ngc import manifests, registry
from ngc.engine import Engine, Found
from ngc.errors import Failed, Wrong
from ngc.extract.blobs import Download, Stream
from ngc.extract.containers import Container
from ngc.extract.layers import SYMLINK, members
from ngc.extract.tape import Tape, text
from ngc.manifests import Config, Descriptor, Manifest, RunConfig
from ngc.reference import Reference

_HEAD = 1 << 16  # bytes that hold the first member's headers
_NOT_THERE = re.compile(r"could not find the file|could not be found|no such file", re.IGNORECASE)


@dataclass(frozen=True)
class Blob:
    """A layer to read. `digest` None: a local engine's own word is taken, and nothing is kept of it between runs.

    `under`: the folder that its names are relative to. `first`: only its first member counts. `path`: what
    the engine is asked for.
    """

    name: str
    digest: str | None
    size: int | None = None
    under: bytes = b""
    first: bool = False
    path: bytes = b""


class Source(Protocol):
    """One image on one platform. `digest` names exactly this content; asking for it reads no blob."""

    name: str
    platform: str
    kept: bool  # what its layers hold can be known from earlier runs

    @property
    def digest(self) -> str: ...

    def config(self) -> RunConfig:
        """How the image's containers are run: its variables, labels, user."""

    def blobs(self, paths: Sequence[bytes]) -> tuple[Blob, ...]:
        """The layers, lowest first, that can say what is at these paths."""

    def open(self, blob: Blob, stop: threading.Event) -> Stream: ...

    def close(self) -> None: ...


class FromRegistry:
    """An image of a registry."""

    kept = True

    def __init__(self, reference: Reference, platform: str, instead: str) -> None:
        self.name, self.platform = str(reference), platform
        self._reference, self._instead = reference, instead
        self._access = registry.Access(reference, instead, registry.ELSEWHERE)

    @cached_property
    def _top(self) -> tuple[str, Manifest | None]:
        """(digest, manifest) of the platform; a list of platforms that names it already is not asked further."""
        digest, found = self._access.manifest(self._reference.digest or self._reference.tag or "latest")
        if found.manifests is not None:
            return manifests.choose(self._reference, found, self.platform, self._instead), None
        return digest, found

    @property
    def digest(self) -> str:
        return self._top[0]

    @cached_property
    def _parts(self) -> tuple[Descriptor, tuple[Descriptor, ...]]:
        return manifests.parts(self._top[1] or self._access.manifest(self.digest)[1], self.name)

    @cached_property
    def _config(self) -> Config:
        """The config blob; where a tag names no list of platforms, it is here that the platform stands."""
        whole = self._access.config(self._parts[0].digest)
        if whole.platform not in ("", self.platform):
            raise Wrong(
                f"{self.name} is {whole.platform}, not {self.platform}; add --platform={whole.platform}, or choose another tag"
            )
        return whole

    def config(self) -> RunConfig:
        return self._config.run

    def blobs(self, paths: Sequence[bytes]) -> tuple[Blob, ...]:  # noqa: ARG002  # all layers, whatever is wanted
        return tuple(Blob(layer.digest, layer.digest, layer.size) for layer in self._parts[1])

    def open(self, blob: Blob, stop: threading.Event) -> Stream:
        assert blob.digest is not None and blob.size is not None  # as blobs() made it
        return Download(self._access, blob.digest, blob.size, stop)

    def close(self) -> None:
        pass


class FromEngine:
    """An image that docker or podman has: a container of it is made, never started, and asked for each path as a tar."""

    kept = False

    def __init__(self, client: Engine, name: str, found: Found) -> None:
        self.name, self.platform = name, found.platform
        self._client, self._found = client, found
        self._container = Container(client, found.id)
        self._heads: dict[bytes, tuple[bytes, str]] = {}

    @property
    def digest(self) -> str:
        return self._found.id

    def config(self) -> RunConfig:
        return RunConfig(Env=list(self._found.environment), Labels=dict(self._found.labels))

    def blobs(self, paths: Sequence[bytes]) -> tuple[Blob, ...]:
        """The folders on the way, each by its first member alone, and the paths themselves where no symlink is on the way."""
        wanted: dict[bytes, bool] = {}
        for path in paths:
            parts = path.split(b"/")
            ways = [b"/".join(parts[:count]) for count in range(1, len(parts))]
            wanted |= {way: wanted.get(way, True) for way in ways}
            if SYMLINK not in [self._head(way)[1] for way in ways]:
                wanted[path] = False
        return tuple(
            Blob(f"{self.name}:/{text(path)}", None, None, path.rpartition(b"/")[0], first, path)
            for path, first in sorted(wanted.items())
        )

    def open(self, blob: Blob, stop: threading.Event) -> Stream:  # noqa: ARG002  # close() ends the child
        return io.BytesIO(self._head(blob.path)[0]) if blob.first else self._copy(blob.path)

    def close(self) -> None:
        self._container.remove()

    def _head(self, path: bytes) -> tuple[bytes, str]:
        """(the first bytes of a path's tar, its kind); the rest is never sent."""
        if path not in self._heads:
            stream = self._copy(path)
            try:
                data = stream.read(_HEAD)
            finally:
                stream.close()
            entry = next(members(Tape(iter([data]), self.name)), None)
            self._heads[path] = data, entry.kind if entry else ""
        return self._heads[path]

    def _copy(self, path: bytes) -> _Copied:
        return _Copied(self._client, f"{self._container.name}:/".encode() + path)


class _Copied:
    """What `docker cp` writes; a path that is not there is an empty stream."""

    def __init__(self, client: Engine, what: bytes) -> None:
        self._client = client
        words: list[str | bytes] = [client.client, "cp", what, "-"]
        # Not by `sh`, which hands output over in lines and has no way to stop reading.
        self._ended = False
        self._child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client.environment)

    def read(self, count: int) -> bytes:
        assert self._child.stdout is not None and self._child.stderr is not None  # asked for above
        data = b"" if self._ended else self._child.stdout.read(count)
        if not data and not self._ended:
            self._ended = True
            said = self._child.stderr.read().decode(errors="replace")
            self.close()
            if self._child.returncode and not _NOT_THERE.search(said):
                raise Failed(engines.explain(self._client, said))
        return data

    def close(self) -> None:
        if not self._ended:
            self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
