"""An OCI layout (a folder or a tar of it) or a `docker save` archive on this machine as a source of blobs."""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from ngc import registry
from ngc.errors import Failed, Wrong
from ngc.extract.blobs import Stream
from ngc.extract.layers import FILE, SYMLINK, members
from ngc.extract.sources import Blob, checked, valid
from ngc.extract.tape import Tape

_LARGEST_JSON = 1 << 26


class FromFiles:
    """An image that lies in files. `opened` opens one by name, None where there is none."""

    kept = True

    def __init__(self, path: Path, platform: str, opened: Callable[[str], Stream | None]) -> None:
        self.name, self.platform = str(path), platform
        self._opened = opened

    @cached_property
    def _found(self) -> tuple[str, dict[str, Any], tuple[tuple[str, Blob], ...]]:
        """(digest, config as it stands there, layers with the names of their files)."""
        if self._bytes("oci-layout") is not None and (index := self._json("index.json")):
            return self._of_layout(index)
        if saved := self._json("manifest.json"):
            return self._of_docker(saved)
        raise Wrong(
            f"{self.name} is neither an OCI layout nor a `docker save` archive; it has no index.json and no manifest.json"
        )

    @property
    def digest(self) -> str:
        return self._found[0]

    def config(self) -> Mapping[str, Any]:
        return self._found[1].get("config") or {}

    def blobs(self, paths: Sequence[bytes]) -> tuple[Blob, ...]:  # noqa: ARG002  # all layers, whatever is wanted
        return tuple(blob for _, blob in self._found[2])

    def open(self, blob: Blob, stop: threading.Event) -> Stream:  # noqa: ARG002  # files do not keep anybody waiting
        name = next(name for name, known in self._found[2] if known == blob)
        stream = self._opened(name)
        if stream is None:
            raise Failed(f"{self.name} has no {name}, which its manifest names; save the image again")
        return stream

    def close(self) -> None:
        pass

    def _of_layout(self, index: dict[str, Any]) -> tuple[str, dict[str, Any], tuple[tuple[str, Blob], ...]]:
        digest, manifest = "", index
        while "manifests" in manifest:
            entries = [e for e in manifest["manifests"] if e.get("platform", {}).get("os") != "unknown"]
            if len(entries) == 1:
                digest = entries[0]["digest"]
            elif any("platform" not in entry for entry in entries):
                raise Wrong(f"{self.name} holds {len(entries)} images; save the one that is wanted alone")
            else:
                digest = registry.choose_platform(self.name, manifest, self.platform, "or save another image")
            manifest = json.loads(self._blob(digest))
        config = json.loads(self._blob(manifest["config"]["digest"]))
        self._check(config)
        layers = tuple(
            (_blob_name(layer["digest"]), Blob(layer["digest"], valid(layer["digest"], self.name), layer["size"]))
            for layer in manifest["layers"]
        )
        return digest, config, layers

    def _of_docker(self, saved: list[dict[str, Any]]) -> tuple[str, dict[str, Any], tuple[tuple[str, Blob], ...]]:
        if len(saved) != 1:
            names = [tag for image in saved for tag in image.get("RepoTags") or ()]
            raise Wrong(
                f"{self.name} holds {len(saved)} images ({', '.join(names)}); save the one that is wanted alone"
            )
        data = self._bytes(saved[0]["Config"])
        if data is None:
            raise Failed(f"{self.name} has no {saved[0]['Config']}, which its manifest names; save the image again")
        config = json.loads(data)
        self._check(config)
        unpacked, names = config["rootfs"]["diff_ids"], saved[0]["Layers"]
        if len(unpacked) != len(names):
            raise Failed(f"{self.name} has {len(names)} layers and names {len(unpacked)}; save the image again")
        layers = tuple(
            (name, Blob(digest, valid(digest, self.name))) for name, digest in zip(names, unpacked, strict=True)
        )
        return "sha256:" + hashlib.sha256(data).hexdigest(), config, layers

    def _check(self, config: Mapping[str, Any]) -> None:
        here = f"{config.get('os', 'linux')}/{config.get('architecture', '')}"
        if config.get("architecture") and here != self.platform:
            raise Wrong(f"{self.name} is {here}, not {self.platform}; add --platform={here}")

    def _blob(self, digest: str) -> bytes:
        data = self._bytes(_blob_name(valid(digest, self.name)))
        if data is None:
            raise Failed(f"{self.name} has no {digest}, which it names; save the image again")
        return checked(data, digest, self.name)

    def _json(self, name: str) -> Any:
        data = self._bytes(name)
        try:
            return json.loads(data) if data is not None else None
        except ValueError:
            raise Failed(f"{self.name}: {name} cannot be read; save the image again") from None

    def _bytes(self, name: str) -> bytes | None:
        stream = self._opened(name)
        if stream is None:
            return None
        data = stream.read(_LARGEST_JSON)
        stream.close()
        return data


def source(path: Path, platform: str) -> FromFiles:
    """The image in a folder or file. Raises Wrong for what is neither."""
    if path.is_dir():
        return FromFiles(path, platform, lambda name: _in_folder(path, name))
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise Wrong(f"{path} is compressed; unpack it first (gunzip), its layers are read in any order")
    places = dict(_places(path))
    return FromFiles(path, platform, lambda name: _in_archive(path, places, name))


def _in_folder(path: Path, name: str) -> IO[bytes] | None:
    file = path / name
    return file.open("rb") if ".." not in file.parts and file.is_file() else None


class _Part:
    """A part of a file as a stream."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file, self._left = path.open("rb"), size
        self._file.seek(start)

    def read(self, count: int) -> bytes:
        data = self._file.read(min(count, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()


def _in_archive(path: Path, places: Mapping[str, tuple[int, int] | str], name: str) -> Stream | None:
    """A member; Docker writes a layer that an image has twice as a symlink to the first."""
    place = places.get(posixpath.normpath(name))
    if isinstance(place, str):
        place = places.get(posixpath.normpath(posixpath.join(posixpath.dirname(name), place)))
    return _Part(path, *place) if isinstance(place, tuple) else None


def _places(path: Path) -> Iterator[tuple[str, tuple[int, int] | str]]:
    """(name, (where its content starts, bytes) or where it links to) of an archive's members; content is passed over by seeking."""
    with path.open("rb") as file:
        tape = _Seeking(file, str(path))
        for entry in members(tape):
            name = entry.name.decode(errors="replace")
            if entry.kind == FILE:
                yield name, (tape.offset, entry.size)
            elif entry.kind == SYMLINK:
                yield name, entry.link.decode(errors="replace")


class _Seeking(Tape):
    """A tape on a file: what is passed over is not read."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        super().__init__(iter(()), name)
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)

    def take(self, count: int) -> bytes:
        data = self._file.read(count)
        self.offset += len(data)
        return data

    def hand_over(self, count: int, to: Callable[[memoryview], object] | None, short: bool = False) -> None:
        if to is not None:
            to(memoryview(self.take(count)))
            return
        self.offset += count
        if self.offset > self._size and not short:
            raise Failed(f"{self.name} ends in the middle of a member; save the image again")
        self._file.seek(self.offset)


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/", 1)
