"""An OCI layout (a folder or a tar of it) or a `docker save` archive on this machine as a source of blobs."""

from __future__ import annotations

import io
import posixpath
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

from msgspec import Struct

from ngc import manifests
from ngc.errors import Failed, Wrong
from ngc.extract.blobs import Stream
from ngc.extract.layers import FILE, SYMLINK, members
from ngc.extract.sources import Blob
from ngc.extract.tape import Tape
from ngc.manifests import Config, Manifest, RunConfig, Type, checked, digest_of, valid

_DEEPEST = 3  # indexes in each other
_TAG = "org.opencontainers.image.ref.name"  # of an entry in a layout's index
# What archives that are compressed as a whole begin with, and what unpacks them.
_PACKED = {b"\x1f\x8b": "gunzip", b"\x28\xb5\x2f\xfd": "unzstd", b"\xfd7zXZ": "unxz", b"BZh": "bunzip2"}


class _Saved(Struct, frozen=True):
    """An image of `docker save`: its config and layers by their files."""

    Config: str
    Layers: tuple[str, ...]
    RepoTags: tuple[str, ...] | None = None


class FromFiles:
    """An image that lies in files. `opened` opens one by name, None where there is none."""

    kept = True

    def __init__(self, path: Path, tag: str | None, platform: str, opened: Callable[[str], Stream | None]) -> None:
        self.name, self.platform, self._tag = str(path), platform, tag
        self._opened = opened

    @cached_property
    def _found(self) -> tuple[str, Config, tuple[tuple[str, Blob], ...]]:
        """(digest, config, layers with the names of their files)."""
        if self._bytes("oci-layout") is not None and (index := self._read("index.json", Manifest)):
            return self._of_layout(index)
        if saved := self._read("manifest.json", tuple[_Saved, ...]):
            return self._of_docker(saved)
        raise Wrong(
            f"{self.name} is neither an OCI layout nor a `docker save` archive; it has no index.json and no manifest.json"
        )

    @property
    def digest(self) -> str:
        return self._found[0]

    def config(self) -> RunConfig:
        return self._found[1].run

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

    def _of_layout(self, index: Manifest) -> tuple[str, Config, tuple[tuple[str, Blob], ...]]:
        digest, manifest = "", index
        for _ in range(_DEEPEST):
            if manifest.manifests is None:
                break
            digest = self._chosen(manifest, manifest is index)
            manifest = self._decoded(self._blob(digest), Manifest)
        described, layers = manifests.parts(manifest, self.name)
        config = self._decoded(self._blob(described.digest), Config)
        self._check(config)
        return (
            digest,
            config,
            tuple((_blob_name(each.digest), Blob(each.digest, each.digest, each.size)) for each in layers),
        )

    def _chosen(self, index: Manifest, top: bool) -> str:
        """The digest that an index means: the only one, the one of the tag asked for, or that of the platform."""
        entries = [each for each in index.manifests or () if each.platform is None or each.platform.os != "unknown"]
        if top and self._tag is not None:
            tags = {(each.annotations or {}).get(_TAG): each for each in entries}
            if self._tag not in tags:
                raise Wrong(
                    f"{self.name} has no {self._tag}; it has {', '.join(filter(None, tags)) or 'no tags'}: choose one"
                )
            entries = [tags[self._tag]]
        if len(digests := {each.digest for each in entries}) == 1:
            return digests.pop()
        if any(each.platform is None for each in entries):
            names = ", ".join(filter(None, ((each.annotations or {}).get(_TAG) for each in entries)))
            raise Wrong(
                f"{self.name} holds {len(digests)} images; name one as {self.name}:TAG ({names or 'it has no tags'})"
            )
        return manifests.choose(self.name, index, self.platform, "or save another image")

    def _of_docker(self, saved: tuple[_Saved, ...]) -> tuple[str, Config, tuple[tuple[str, Blob], ...]]:
        if len(saved) != 1:
            names = ", ".join(tag for image in saved for tag in image.RepoTags or ())
            raise Wrong(f"{self.name} holds {len(saved)} images ({names}); save the one that is wanted alone")
        data = self._bytes(saved[0].Config)
        if data is None:
            raise Failed(f"{self.name} has no {saved[0].Config}, which its manifest names; save the image again")
        config = self._decoded(data, Config)
        self._check(config)
        unpacked, files = config.diff_ids, saved[0].Layers
        if len(unpacked) != len(files):
            raise Failed(f"{self.name} has {len(files)} layers and names {len(unpacked)}; save the image again")
        pairs = zip(files, unpacked, strict=True)
        return digest_of(data), config, tuple((name, Blob(digest, valid(digest, self.name))) for name, digest in pairs)

    def _check(self, config: Config) -> None:
        if config.platform not in ("", self.platform):
            raise Wrong(f"{self.name} is {config.platform}, not {self.platform}; add --platform={config.platform}")

    def _blob(self, digest: str) -> bytes:
        data = self._bytes(_blob_name(valid(digest, self.name)))
        if data is None:
            raise Failed(f"{self.name} has no {digest}, which it names; save the image again")
        return checked(data, digest, self.name)

    def _read(self, name: str, kind: type[Type]) -> Type | None:
        data = self._bytes(name)
        return None if data is None else manifests.decode(data, kind, f"{self.name}: {name}", "save the image again")

    def _decoded(self, data: bytes, kind: type[Type]) -> Type:
        return manifests.decode(data, kind, f"what {self.name} says of its image", "save the image again")

    def _bytes(self, name: str) -> bytes | None:
        stream = self._opened(name)
        if stream is None:
            return None
        try:
            data = stream.read(manifests.MOST + 1)
        finally:
            stream.close()
        if len(data) > manifests.MOST:
            raise Failed(
                f"{self.name}: {name} has more than {manifests.MOST >> 20} MiB, which no manifest has; refused"
            )
        return data


def find(text: str) -> tuple[Path, str | None] | None:
    """(path, tag) of an image that lies in files, named as PATH or PATH:TAG; None where there is no such path."""
    head, _, tag = text.rpartition(":")
    if Path(text).exists():
        return Path(text), None
    return (Path(head), tag) if head and tag and "/" not in tag and Path(head).exists() else None


def source(path: Path, tag: str | None, platform: str) -> FromFiles:
    """The image in a folder or file. Raises Wrong for what is neither."""
    if path.is_dir():
        return FromFiles(path, tag, platform, lambda name: _in_folder(path, name))
    if not path.is_file():
        raise Wrong(f"{path} is no file and no folder; name an OCI layout or a `docker save` archive")
    with path.open("rb") as file:
        first = file.read(8)
    for magic, program in _PACKED.items():
        if first.startswith(magic):
            raise Wrong(f"{path} is compressed; unpack it first ({program}), its layers are read in any order")
    places = dict(_places(path))
    return FromFiles(path, tag, platform, lambda name: _in_archive(path, places, name))


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
